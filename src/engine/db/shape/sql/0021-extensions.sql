-- Which extensions were installed by Millrace itself: at first start, and as SQL where the server takes no files.

create table _millrace.extensions (
  name text primary key,
  version text not null,
  schema text not null,
  -- What its script made, on a server whose catalog is not ours to write; null where pg_extension knows the extension.
  members text[],
  installed_at timestamptz not null default now()
);
comment on table _millrace.extensions is
  'Extensions that Millrace installed itself; those that a migration created from files stand in pg_extension alone.';
revoke all on table _millrace.extensions from public;
