ALTER TABLE `tokens` ADD `permission` text;
--> statement-breakpoint
CREATE TABLE `policies` (
	`id` text PRIMARY KEY NOT NULL,
	`tenant_id` text NOT NULL,
	`name` text NOT NULL,
	`description` text,
	`effect` text NOT NULL,
	`on` text NOT NULL,
	`connections` text NOT NULL,
	`condition` text,
	`approvals` integer NOT NULL,
	`delay_seconds` integer NOT NULL,
	`message` text,
	`enabled` integer NOT NULL,
	`version` integer NOT NULL,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX `policies_name` ON `policies` (`tenant_id`,`name`);--> statement-breakpoint
CREATE TABLE `policy_versions` (
	`tenant_id` text NOT NULL,
	`policy_id` text NOT NULL,
	`version` integer NOT NULL,
	`policy` text,
	`changed_by` text NOT NULL,
	`at` integer NOT NULL,
	PRIMARY KEY(`tenant_id`, `policy_id`, `version`)
);
--> statement-breakpoint
CREATE TABLE `webhooks` (
	`id` text PRIMARY KEY NOT NULL,
	`tenant_id` text NOT NULL,
	`name` text,
	`settings` text NOT NULL,
	`events` text NOT NULL,
	`agent_id` text,
	`enabled` integer NOT NULL,
	`disabled_reason` text,
	`secrets` text NOT NULL,
	`origin` text NOT NULL,
	`created_at` integer NOT NULL,
	`created_by` text NOT NULL,
	`updated_at` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `webhooks_tenant` ON `webhooks` (`tenant_id`);--> statement-breakpoint
ALTER TABLE `agent_keys` ADD `created_by` text;--> statement-breakpoint
ALTER TABLE `agent_trust_rules` ADD `created_by` text;--> statement-breakpoint
ALTER TABLE `namespace_settings` ADD `approval_delay_seconds` integer;
--> statement-breakpoint
CREATE TABLE `actions` (
	`tenant_id` text NOT NULL,
	`name` text NOT NULL,
	`version` integer NOT NULL,
	`content` text NOT NULL,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL,
	PRIMARY KEY(`tenant_id`, `name`)
);
--> statement-breakpoint
CREATE TABLE `permissions` (
	`id` text PRIMARY KEY NOT NULL,
	`tenant_id` text NOT NULL,
	`agent_id` text NOT NULL,
	`action` text NOT NULL,
	`action_version` integer NOT NULL,
	`resource` text,
	`template` text,
	`asked` text NOT NULL,
	`scope` text NOT NULL,
	`ttl_seconds` integer NOT NULL,
	`max_uses` integer NOT NULL,
	`granted` text NOT NULL,
	`narrowed_fields` text NOT NULL,
	`context` text NOT NULL,
	`digest` text NOT NULL,
	`approvals_needed` integer NOT NULL,
	`delay_seconds` integer NOT NULL,
	`approval_id` text,
	`ip` text,
	`status` text NOT NULL,
	`reason` text,
	`token_id` text NOT NULL,
	`collected_at` integer,
	`created_at` integer NOT NULL,
	`decided_at` integer,
	`expires_at` integer NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX `permissions_open` ON `permissions` (`tenant_id`,`agent_id`,`digest`) WHERE status in ('pending', 'approved') and collected_at is null;--> statement-breakpoint
CREATE INDEX `permissions_tenant` ON `permissions` (`tenant_id`,`created_at`,`id`);--> statement-breakpoint
CREATE INDEX `permissions_digest` ON `permissions` (`tenant_id`,`agent_id`,`digest`,`status`);--> statement-breakpoint
CREATE INDEX `permissions_expiry` ON `permissions` (`expires_at`) WHERE status in ('pending', 'approved');
--> statement-breakpoint
DROP TABLE `approvals`;
--> statement-breakpoint
CREATE TABLE `budgets` (
	`id` text PRIMARY KEY NOT NULL,
	`tenant_id` text NOT NULL,
	`name` text NOT NULL,
	`scope` text NOT NULL,
	`measure` text NOT NULL,
	`limit` integer NOT NULL,
	`currency` text,
	`period` text NOT NULL,
	`max_bytes_per_call` integer,
	`prices` text,
	`enabled` integer NOT NULL,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX `budgets_name` ON `budgets` (`tenant_id`,`name`);
--> statement-breakpoint
ALTER TABLE `members` ADD `raised_at` integer;--> statement-breakpoint
ALTER TABLE `members` ADD `raised_by` text;
