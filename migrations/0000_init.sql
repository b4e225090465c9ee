CREATE TABLE `audit_outbox` (
	`seq` integer PRIMARY KEY NOT NULL,
	`tenant_id` text NOT NULL,
	`event` text NOT NULL
);
--> statement-breakpoint
CREATE TABLE `connections` (
	`id` text PRIMARY KEY NOT NULL,
	`tenant_id` text NOT NULL,
	`slug` text NOT NULL,
	`provider` text,
	`base_url` text NOT NULL,
	`credential` text NOT NULL,
	`secrets` text NOT NULL,
	`allow` text,
	`limits` text NOT NULL,
	`references` text NOT NULL,
	`websockets` integer NOT NULL,
	`default` text NOT NULL,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX `connections_slug` ON `connections` (`tenant_id`,`slug`);--> statement-breakpoint
CREATE TABLE `agent_keys` (
	`id` text PRIMARY KEY NOT NULL,
	`tenant_id` text NOT NULL,
	`agent_id` text NOT NULL,
	`digest` text NOT NULL,
	`created_at` integer NOT NULL,
	`revoked_at` integer,
	FOREIGN KEY (`agent_id`) REFERENCES `agents`(`id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE UNIQUE INDEX `agent_keys_digest_unique` ON `agent_keys` (`digest`);--> statement-breakpoint
CREATE INDEX `agent_keys_agent` ON `agent_keys` (`agent_id`);--> statement-breakpoint
CREATE TABLE `agents` (
	`id` text PRIMARY KEY NOT NULL,
	`tenant_id` text NOT NULL,
	`name` text NOT NULL,
	`description` text NOT NULL,
	`allowed_namespaces` text NOT NULL,
	`allowed_scopes` text NOT NULL,
	`ip_allowlist` text NOT NULL,
	`disabled_at` integer,
	`deleted_at` integer,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `agents_tenant` ON `agents` (`tenant_id`,`id`);--> statement-breakpoint
CREATE TABLE `bootstraps` (
	`id` integer PRIMARY KEY NOT NULL,
	`tenant_id` text NOT NULL,
	`created_at` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `members` (
	`id` text PRIMARY KEY NOT NULL,
	`tenant_id` text NOT NULL,
	`name` text NOT NULL,
	`role` text NOT NULL,
	`script` integer NOT NULL,
	`digest` text NOT NULL,
	`created_at` integer NOT NULL,
	`revoked_at` integer
);
--> statement-breakpoint
CREATE UNIQUE INDEX `members_digest_unique` ON `members` (`digest`);--> statement-breakpoint
CREATE INDEX `members_tenant` ON `members` (`tenant_id`);--> statement-breakpoint
CREATE TABLE `tenants` (
	`id` text PRIMARY KEY NOT NULL,
	`name` text NOT NULL,
	`epoch` integer DEFAULT 1 NOT NULL,
	`settings` text NOT NULL,
	`created_at` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `tokens` (
	`id` text PRIMARY KEY NOT NULL,
	`tenant_id` text NOT NULL,
	`agent_id` text NOT NULL,
	`scopes` text NOT NULL,
	`ip_allowlist` text NOT NULL,
	`max_uses` integer,
	`rate` text,
	`allow` text,
	`tool` text,
	`user` text,
	`context` text NOT NULL,
	`epoch` integer NOT NULL,
	`issued_at` integer NOT NULL,
	`expires_at` integer NOT NULL,
	`revoked_at` integer,
	`closed_at` integer
);
--> statement-breakpoint
CREATE INDEX `tokens_tenant` ON `tokens` (`tenant_id`,`issued_at`);--> statement-breakpoint
CREATE INDEX `tokens_expiry` ON `tokens` (`expires_at`) WHERE closed_at is null;--> statement-breakpoint
CREATE TABLE `secret_versions` (
	`id` text PRIMARY KEY NOT NULL,
	`tenant_id` text NOT NULL,
	`secret_id` text NOT NULL,
	`version` integer NOT NULL,
	`format` integer NOT NULL,
	`nonce` text NOT NULL,
	`ciphertext` text NOT NULL,
	`wrapped_dek` text NOT NULL,
	`key_version` text NOT NULL,
	`redactable` integer NOT NULL,
	`created_at` integer NOT NULL,
	FOREIGN KEY (`secret_id`) REFERENCES `secrets`(`id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE UNIQUE INDEX `secret_versions_version` ON `secret_versions` (`secret_id`,`version`);--> statement-breakpoint
CREATE INDEX `secret_versions_key` ON `secret_versions` (`tenant_id`,`key_version`);--> statement-breakpoint
CREATE TABLE `secrets` (
	`id` text PRIMARY KEY NOT NULL,
	`tenant_id` text NOT NULL,
	`path` text NOT NULL,
	`secret_type` text NOT NULL,
	`access_tier` text NOT NULL,
	`metadata` text NOT NULL,
	`allowed_hosts` text,
	`reveal` text,
	`current_version` integer NOT NULL,
	`revision` integer NOT NULL,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL,
	`deleted_at` integer
);
--> statement-breakpoint
CREATE UNIQUE INDEX `secrets_path` ON `secrets` (`tenant_id`,`path`,(case when "deleted_at" is null then '' else "id" end));