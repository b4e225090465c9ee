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
ALTER TABLE `secrets` ADD `tags` text DEFAULT '[]' NOT NULL;--> statement-breakpoint
ALTER TABLE `secrets` ADD `expires_at` integer;--> statement-breakpoint
ALTER TABLE `secrets` ADD `expiry_recorded_at` integer;--> statement-breakpoint
ALTER TABLE `secrets` ADD `purge_at` integer;--> statement-breakpoint
ALTER TABLE `secrets` ADD `purged_at` integer;--> statement-breakpoint
CREATE INDEX `secrets_expiry` ON `secrets` (`expires_at`) WHERE expires_at is not null and expiry_recorded_at is null;--> statement-breakpoint
CREATE INDEX `secrets_purge` ON `secrets` (`purge_at`) WHERE purge_at is not null;