-- Which secrets have proved who sent an event that waits.
ALTER TABLE deferrals ADD COLUMN proven TEXT NOT NULL DEFAULT '[]';
