CREATE TABLE `approvals` (
	`id` text PRIMARY KEY NOT NULL,
	`tenant_id` text NOT NULL,
	`agent_id` text NOT NULL,
	`digest` text NOT NULL,
	`request` text NOT NULL,
	`reach` text NOT NULL,
	`tier` text NOT NULL,
	`approvals_needed` integer NOT NULL,
	`delay_seconds` integer NOT NULL,
	`ip` text,
	`status` text NOT NULL,
	`votes` text DEFAULT '[]' NOT NULL,
	`created_at` integer NOT NULL,
	`expires_at` integer NOT NULL,
	`decided_at` integer,
	`not_before` integer,
	`consumed_at` integer
);
--> statement-breakpoint
CREATE UNIQUE INDEX `approvals_pending` ON `approvals` (`tenant_id`,`agent_id`,`digest`) WHERE status = 'pending';--> statement-breakpoint
CREATE INDEX `approvals_tenant` ON `approvals` (`tenant_id`,`id`);--> statement-breakpoint
CREATE INDEX `approvals_agent` ON `approvals` (`tenant_id`,`agent_id`,`status`);--> statement-breakpoint
CREATE INDEX `approvals_expiry` ON `approvals` (`expires_at`) WHERE status = 'pending';--> statement-breakpoint
CREATE TABLE `idempotency_keys` (
	`id` text PRIMARY KEY NOT NULL,
	`tenant_id` text NOT NULL,
	`request_digest` text NOT NULL,
	`state` text NOT NULL,
	`answer` text,
	`created_at` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `idempotency_keys_created` ON `idempotency_keys` (`created_at`);--> statement-breakpoint
CREATE TABLE `agent_trust_rules` (
	`id` text PRIMARY KEY NOT NULL,
	`tenant_id` text NOT NULL,
	`agent_id` text NOT NULL,
	`rule` text NOT NULL,
	`created_at` integer NOT NULL,
	FOREIGN KEY (`agent_id`) REFERENCES `agents`(`id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE INDEX `agent_trust_rules_agent` ON `agent_trust_rules` (`tenant_id`,`agent_id`);--> statement-breakpoint
CREATE TABLE `enrolments` (
	`id` text PRIMARY KEY NOT NULL,
	`tenant_id` text NOT NULL,
	`member_id` text NOT NULL,
	`digest` text NOT NULL,
	`created_by` text NOT NULL,
	`created_at` integer NOT NULL,
	`expires_at` integer NOT NULL,
	`spent_at` integer
);
--> statement-breakpoint
CREATE UNIQUE INDEX `enrolments_digest_unique` ON `enrolments` (`digest`);--> statement-breakpoint
CREATE INDEX `enrolments_member` ON `enrolments` (`tenant_id`,`member_id`);--> statement-breakpoint
CREATE TABLE `passkeys` (
	`id` text PRIMARY KEY NOT NULL,
	`tenant_id` text NOT NULL,
	`member_id` text NOT NULL,
	`credential_id` text NOT NULL,
	`public_key` text NOT NULL,
	`counter` integer NOT NULL,
	`transports` text NOT NULL,
	`name` text NOT NULL,
	`backed_up` integer NOT NULL,
	`created_at` integer NOT NULL,
	`last_used_at` integer
);
--> statement-breakpoint
CREATE UNIQUE INDEX `passkeys_credential` ON `passkeys` (`tenant_id`,`credential_id`);--> statement-breakpoint
CREATE INDEX `passkeys_member` ON `passkeys` (`tenant_id`,`member_id`);--> statement-breakpoint
CREATE TABLE `spent_challenges` (
	`id` text PRIMARY KEY NOT NULL,
	`tenant_id` text NOT NULL,
	`expires_at` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `spent_challenges_tenant` ON `spent_challenges` (`tenant_id`,`expires_at`);--> statement-breakpoint
CREATE TABLE `namespace_settings` (
	`tenant_id` text NOT NULL,
	`namespace` text NOT NULL,
	`tier_default` text,
	`reveal` text,
	`kek` text,
	`updated_at` integer NOT NULL,
	PRIMARY KEY(`tenant_id`, `namespace`)
);
--> statement-breakpoint
CREATE TABLE `reveal_grants` (
	`id` text PRIMARY KEY NOT NULL,
	`tenant_id` text NOT NULL,
	`member_id` text NOT NULL,
	`pattern` text NOT NULL,
	`reason` text NOT NULL,
	`ttl_seconds` integer NOT NULL,
	`requested_at` integer NOT NULL,
	`starts_at` integer,
	`expires_at` integer NOT NULL,
	`approved_by` text,
	`ended_at` integer,
	`ended_by` text
);
--> statement-breakpoint
CREATE INDEX `reveal_grants_member` ON `reveal_grants` (`tenant_id`,`member_id`,`expires_at`);--> statement-breakpoint
CREATE INDEX `reveal_grants_open` ON `reveal_grants` (`expires_at`) WHERE ended_at is null;--> statement-breakpoint
ALTER TABLE `agent_keys` ADD `name` text;--> statement-breakpoint
ALTER TABLE `agent_keys` ADD `last_used_at` integer;--> statement-breakpoint
ALTER TABLE `agent_keys` ADD `expires_at` integer;--> statement-breakpoint
ALTER TABLE `agents` ADD `trust_tier` text DEFAULT 'standard' NOT NULL;--> statement-breakpoint
ALTER TABLE `agents` ADD `last_seen_at` integer;--> statement-breakpoint
ALTER TABLE `identity_providers` ADD `created_by` text;--> statement-breakpoint
ALTER TABLE `tokens` ADD `jkt` text;--> statement-breakpoint
ALTER TABLE `tokens` ADD `parent_id` text;--> statement-breakpoint
ALTER TABLE `tokens` ADD `root_id` text;--> statement-breakpoint
ALTER TABLE `tokens` ADD `ancestors` text DEFAULT '[]' NOT NULL;--> statement-breakpoint
CREATE INDEX `tokens_root` ON `tokens` (`tenant_id`,`root_id`,`expires_at`) WHERE root_id is not null;--> statement-breakpoint
ALTER TABLE `secrets` ADD `tags` text DEFAULT '[]' NOT NULL;--> statement-breakpoint
ALTER TABLE `secrets` ADD `expires_at` integer;--> statement-breakpoint
ALTER TABLE `secrets` ADD `expiry_recorded_at` integer;--> statement-breakpoint
ALTER TABLE `secrets` ADD `purge_at` integer;--> statement-breakpoint
ALTER TABLE `secrets` ADD `purged_at` integer;--> statement-breakpoint
ALTER TABLE `secrets` ADD `rotation_due_at` integer;--> statement-breakpoint
ALTER TABLE `secrets` ADD `rotation_reason` text;--> statement-breakpoint
CREATE INDEX `secrets_expiry` ON `secrets` (`expires_at`) WHERE expires_at is not null and expiry_recorded_at is null;--> statement-breakpoint
CREATE INDEX `secrets_purge` ON `secrets` (`purge_at`) WHERE purge_at is not null;--> statement-breakpoint
CREATE INDEX `secrets_rotation_due` ON `secrets` (`tenant_id`,`path`) WHERE rotation_due_at is not null;--> statement-breakpoint
CREATE INDEX `secrets_strict` ON `secrets` (`tenant_id`,`path`,`access_tier`) WHERE access_tier <> 'standard' and deleted_at is null;