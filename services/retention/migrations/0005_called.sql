-- By what else a customer goes, as each holder's rows said before anything was deleted: the check looks for it.
-- map_sha256 is the data map by which it was read in time; null where it was read after the first command.
create table called (
    customer_id text not null,
    deletion_id text not null,
    holder      text not null,
    map_sha256  text,
    identifiers text[] not null,
    primary key (customer_id, deletion_id, holder)
);

-- Whether nothing is looked for in a case any more, or not yet.
create function is_over(state jsonb) returns boolean language sql immutable return
    coalesce(state ->> 'kind', 'unknown') in ('unknown', 'serving', 'window', 'held', 'retaining', 'closed');

-- It is kept no longer than the case needs it, whatever the code decides.
create function forget_called() returns trigger language plpgsql as $$
begin
    delete from called where customer_id = new.customer_id;
    return null;
end
$$;
create trigger forget_called after update of state on cases for each row
    when (is_over(new.state) and not is_over(old.state)) execute function forget_called();
