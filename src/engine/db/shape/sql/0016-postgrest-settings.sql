-- The Data API's settings in the database: `alter role authenticator set pgrst.db_schemas = …`, as people and scripts log in (postgres).
-- skip when: not (select rolsuper from pg_roles where rolname = current_user)
-- Source: supabase/postgres ansible/files/postgresql_config/supautils.conf.j2 (privileged_role_allowed_configs: pgrst.*); PostgreSQL, GRANT ON
-- PARAMETER: who is no superuser may set a parameter that no library has defined for a role only with this right, and it takes no pattern.
-- The names are PostgREST 14.12's (docs/references/configuration.rst, "In-Database") and those that 16 added.

grant set on parameter
  pgrst.client_error_verbosity, pgrst.db_aggregates_enabled, pgrst.db_anon_role, pgrst.db_extra_search_path, pgrst.db_hoisted_tx_settings,
  pgrst.db_max_rows, pgrst.db_plan_enabled, pgrst.db_pre_config, pgrst.db_pre_request, pgrst.db_prepared_statements, pgrst.db_root_spec,
  pgrst.db_schemas, pgrst.db_tx_end, pgrst.jwt_aud, pgrst.jwt_cache_max_entries, pgrst.jwt_role_claim_key, pgrst.jwt_secret,
  pgrst.jwt_secret_is_base64, pgrst.openapi_mode, pgrst.openapi_security_active, pgrst.openapi_server_proxy_uri,
  pgrst.server_cors_allowed_origins, pgrst.server_timing_enabled, pgrst.server_trace_header, pgrst.url_use_legacy_target_names
  to postgres;
