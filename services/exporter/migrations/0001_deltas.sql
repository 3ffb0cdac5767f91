-- What no release of the code may break, whatever it decides, of what lies there for a customer (docs/states.md).
-- A check of a row that fails buries the event, or leaves the case stuck, and nothing of it counts.

-- Whether every delta that was told of has its base among the archives that were, and none is an archive itself.
create function deltas_have_bases(state jsonb) returns boolean language sql immutable return
    not exists (
        select from jsonb_array_elements(state -> 'known' -> 'deltas') as delta
         where exists (
                   select from jsonb_array_elements(state -> 'known' -> 'archives') as archive
                    where archive ->> 'export_id' = delta -> 'copy' ->> 'export_id')
            or ((delta -> 'copy' ->> 'announced')::boolean is distinct from false
                and not exists (
                   select from jsonb_array_elements(state -> 'known' -> 'archives') as archive
                    where archive ->> 'export_id' = delta ->> 'base_id'
                      and (archive ->> 'announced')::boolean is distinct from false)));

alter table cases
    add constraint deltas_have_their_bases check (state is null or deltas_have_bases(state)),
    add constraint erased_leaves_no_copy check (
        state is null or state ->> 'kind' <> 'erased'
        or (jsonb_array_length(coalesce(state -> 'known' -> 'archives', '[]')) = 0
            and jsonb_array_length(coalesce(state -> 'known' -> 'deltas', '[]')) = 0));
