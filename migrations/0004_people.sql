CREATE TABLE `finished_sign_ins` (
	`id` text PRIMARY KEY NOT NULL,
	`tenant_id` text NOT NULL,
	`expires_at` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `finished_sign_ins_tenant` ON `finished_sign_ins` (`tenant_id`,`expires_at`);--> statement-breakpoint
CREATE TABLE `identity_providers` (
	`id` text PRIMARY KEY NOT NULL,
	`tenant_id` text NOT NULL,
	`name` text NOT NULL,
	`kind` text NOT NULL,
	`issuer` text NOT NULL,
	`client_id` text,
	`client_secret` text,
	`audience` text NOT NULL,
	`allowed_email_domains` text NOT NULL,
	`trust_email` integer NOT NULL,
	`created_at` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `identity_providers_tenant` ON `identity_providers` (`tenant_id`);--> statement-breakpoint
CREATE INDEX `identity_providers_audience` ON `identity_providers` (`issuer`,`audience`);--> statement-breakpoint
CREATE TABLE `sessions` (
	`id` text PRIMARY KEY NOT NULL,
	`tenant_id` text NOT NULL,
	`member_id` text NOT NULL,
	`digest` text NOT NULL,
	`method` text NOT NULL,
	`issuer` text,
	`subject` text,
	`authenticated_at` integer,
	`ip` text,
	`user_agent` text,
	`created_at` integer NOT NULL,
	`last_seen_at` integer NOT NULL,
	`expires_at` integer NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX `sessions_digest_unique` ON `sessions` (`digest`);--> statement-breakpoint
CREATE INDEX `sessions_member` ON `sessions` (`tenant_id`,`member_id`);--> statement-breakpoint
ALTER TABLE `members` ADD `digest_at` integer;--> statement-breakpoint
ALTER TABLE `members` ADD `email` text;--> statement-breakpoint
ALTER TABLE `members` ADD `issuer` text;--> statement-breakpoint
ALTER TABLE `members` ADD `subject` text;--> statement-breakpoint
ALTER TABLE `members` ADD `invited_at` integer;--> statement-breakpoint
ALTER TABLE `members` ADD `invited_by` text;--> statement-breakpoint
ALTER TABLE `members` ADD `joined_at` integer;--> statement-breakpoint
CREATE UNIQUE INDEX `members_subject` ON `members` (`tenant_id`,`issuer`,`subject`) WHERE revoked_at is null;--> statement-breakpoint
CREATE UNIQUE INDEX `members_invited` ON `members` (`tenant_id`,`email`) WHERE revoked_at is null and subject is null;--> statement-breakpoint
CREATE INDEX `members_identity` ON `members` (`issuer`,`subject`);