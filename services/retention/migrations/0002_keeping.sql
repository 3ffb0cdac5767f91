-- What holds keep stays, and is looked at, while everything else is gone (docs/states.md).
alter table cases
    drop constraint state_is_known,
    add constraint state_is_known check (
        state is null or state ->> 'kind' in (
            'unknown', 'serving', 'window', 'held', 'surveying', 'awaiting', 'deleting', 'checking', 'keeping',
            'certifying', 'closed', 'stalled')),
    drop constraint commanded_after_the_window,
    add constraint commanded_after_the_window check (
        state is null or state ->> 'kind' not in ('deleting', 'checking', 'keeping', 'certifying', 'stalled')
        or commanded_in_time(state)),
    drop constraint proven_only_when_all_erased,
    add constraint proven_only_when_all_erased check (
        state is null or state ->> 'kind' <> 'certifying'
        or each_holder(state, '$.deletion.holders[*] ? (@.status == "erased")')),
    add constraint checked_only_when_all_answered_well check (
        state is null or state ->> 'kind' not in ('checking', 'keeping')
        or each_holder(state, '$.deletion.holders[*] ? (@.status == "erased" || @.status == "kept")')),
    drop constraint certified_only_when_nothing_is_left,
    -- Of a reading, the third value is what is left, the seventh what is kept.
    add constraint certified_only_when_nothing_is_left check (
        state is null or state ->> 'kind' <> 'certifying'
        or (jsonb_array_length(state -> 'after') > 0
            and not jsonb_path_exists(state, 'strict $.after[*] ? (@[2] > 0)', '{}', true)
            and not jsonb_path_exists(state, 'strict $.after[*] ? (@[6] > 0)', '{}', true))),
    add constraint kept_only_what_is_held check (
        state is null or state ->> 'kind' <> 'keeping'
        or (jsonb_array_length(state -> 'after') > 0
            and not jsonb_path_exists(state, 'strict $.after[*] ? (@[2] > 0)', '{}', true)
            and jsonb_array_length(state -> 'known' -> 'holds') > 0));
