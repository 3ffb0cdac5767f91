-- A task that proved heavy when a worker had no room for another such; null until somebody weighed it and waited.
alter table tasks add column heavy boolean;
