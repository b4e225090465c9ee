CREATE TABLE `gate_changes` (
	`id` text PRIMARY KEY NOT NULL,
	`tenant_id` text NOT NULL,
	`epoch` integer NOT NULL,
	`at` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `gate_changes_tenant` ON `gate_changes` (`tenant_id`,`at`);