-- Bytes that no row of storage.objects names any more, written down in the transaction that lets go of them: by the API, a cascade or a person.

create table _millrace.blob_garbage (
  id bigint generated always as identity primary key,
  version text not null,
  removed_at timestamptz not null default now()
);
comment on table _millrace.blob_garbage is 'Blobs to remove: versions that no object names any more.';
alter table _millrace.blob_garbage owner to millrace_admin;

create function _millrace.let_go_of_blob() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp
  as $$
begin
  insert into _millrace.blob_garbage (version) values (old.version);
  return null;
end
$$;
comment on function _millrace.let_go_of_blob() is 'Writes down that an object has let go of its bytes.';
alter function _millrace.let_go_of_blob() owner to millrace_admin;
revoke all on function _millrace.let_go_of_blob() from public;

grant usage on schema _millrace to supabase_storage_admin;
grant execute on function _millrace.let_go_of_blob() to supabase_storage_admin;
set local role supabase_storage_admin;
create trigger millrace_let_go_of_blob_at_update after update of version on storage.objects
  for each row when (old.version is not null and old.version is distinct from new.version)
  execute function _millrace.let_go_of_blob();
create trigger millrace_let_go_of_blob_at_delete after delete on storage.objects
  for each row when (old.version is not null)
  execute function _millrace.let_go_of_blob();
reset role;
