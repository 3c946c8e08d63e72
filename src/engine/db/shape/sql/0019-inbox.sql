-- The inbox of development: mails and SMS that are not sent, for every process to show. In production nothing is put here.

create table _millrace.inbox (
  id text primary key default replace(gen_random_uuid()::text, '-', ''),
  number bigint generated always as identity unique,
  medium text not null check (medium in ('mail', 'sms')),
  kind text not null,
  sender_name text not null default '',
  sender text not null default '',
  recipient text not null,
  subject text not null default '',
  html text not null default '',
  body text not null default '',
  seen boolean not null default false,
  created_at timestamptz not null default clock_timestamp()
);
comment on table _millrace.inbox is 'Mails and SMS of development, the last 500. A way into every account: never with --production.';

-- In the caller's transaction, so that a mail is there when the answer to the request is, as with a mail server that waits.
create function _millrace.deliver_to_inbox(message jsonb) returns text
  language plpgsql security definer set search_path = ''
  as $$
declare
  message_id text;
  kept constant integer := 500;
begin
  if octet_length(message::text) > 4194304 then
    raise exception 'a message of more than 4 MiB is not kept' using errcode = 'program_limit_exceeded';
  end if;
  insert into _millrace.inbox (medium, kind, sender_name, sender, recipient, subject, html, body)
  select coalesce(given.medium, 'mail'), coalesce(given.kind, 'other'), coalesce(given.sender_name, ''), coalesce(given.sender, ''),
    given.recipient, coalesce(given.subject, ''), coalesce(given.html, ''), coalesce(given.body, '')
  from pg_catalog.jsonb_to_record(message) as given (
    medium text, kind text, sender_name text, sender text, recipient text, subject text, html text, body text
  )
  returning id into message_id;
  -- Those that another transaction is deleting right now are gone anyway.
  delete from _millrace.inbox where id in (
    select old.id from _millrace.inbox as old order by old.number desc offset kept for update skip locked
  );
  return message_id;
end
$$;
comment on function _millrace.deliver_to_inbox(jsonb) is 'Puts a mail or an SMS into the inbox of development; the oldest beyond 500 go.';

alter table _millrace.inbox owner to millrace_admin;
alter function _millrace.deliver_to_inbox(jsonb) owner to millrace_admin;
revoke all on function _millrace.deliver_to_inbox(jsonb) from public;
grant execute on function _millrace.deliver_to_inbox(jsonb) to supabase_auth_admin;
