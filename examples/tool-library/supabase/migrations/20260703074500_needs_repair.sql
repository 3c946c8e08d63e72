-- Some tools are worse than worn.
alter type public.tool_condition add value 'needs repair' after 'worn';
