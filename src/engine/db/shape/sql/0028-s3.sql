-- Parts of an upload name bytes of their own: they are let go of when another part takes their place, when the upload is completed, aborted or too old.

set local role supabase_storage_admin;
create trigger millrace_let_go_of_blob_at_delete after delete on storage.s3_multipart_uploads_parts
  for each row execute function _millrace.let_go_of_blob();
reset role;
