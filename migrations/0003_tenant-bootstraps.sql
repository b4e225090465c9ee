CREATE TABLE `tenant_bootstraps` (
	`tenant_id` text PRIMARY KEY NOT NULL,
	`digest` text NOT NULL,
	`created_at` integer NOT NULL,
	`expires_at` integer NOT NULL,
	`spent_at` integer
);
--> statement-breakpoint
CREATE UNIQUE INDEX `tenant_bootstraps_digest_unique` ON `tenant_bootstraps` (`digest`);