-- What a schedule is: Vixie cron's five fields, its words, or so many seconds.

-- One field of a schedule: the numbers that it means, null when it is none. What follows a valid list without a comma is read over.
-- Source: citusdata/pg_cron src/entry.c get_list, get_range, get_number (Vixie cron).
create function cron._field(field text, low integer, high integer, names text[] default '{}') returns integer[]
  language plpgsql immutable set search_path = pg_catalog, pg_temp
  as $$
declare
  rest text := field;
  found_range text[];
  numbers integer[] := '{}';
  first integer;
  last integer;
  step integer;
begin
  loop
    found_range := regexp_match(rest, '^((\*|[0-9A-Za-z]+)(-([0-9A-Za-z]*))?(/([0-9A-Za-z]*))?)');
    if found_range is null then
      return null;
    end if;
    if found_range[2] = '*' then
      -- A dash behind a star is no range; it is read over like everything else there.
      if found_range[3] is not null then
        found_range[1] := '*';
        found_range[5] := null;
      end if;
      first := low;
      last := high;
    else
      first := cron._number(found_range[2], low, names);
      last := case when found_range[3] is null then first else cron._number(found_range[4], low, names) end;
      -- A step needs a range.
      if found_range[3] is null and found_range[5] is not null then
        return null;
      end if;
    end if;
    step := case when found_range[5] is null then 1 else cron._number(found_range[6], 0, '{}') end;
    if first is null or last is null or step is null or first < low or first > high or last < low or last > high
      or step <= 0 or step > high
    then
      return null;
    end if;
    numbers := numbers || array(select generate_series(first, last, step));
    rest := substr(rest, length(found_range[1]) + 1);
    exit when left(rest, 1) <> ',' or rest = '';
    rest := substr(rest, 2);
  end loop;
  return array(select distinct number from unnest(numbers) as number order by number);
end
$$;

create function cron._number(word text, low integer, names text[]) returns integer
  language sql immutable set search_path = pg_catalog, pg_temp
  as $$
    select coalesce(
      low + array_position(names, lower(word)) - 1,
      case when word ~ '^[0-9]{1,9}$' then word::integer end
    )
  $$;

-- What a schedule means; null when it is none. Source: citusdata/pg_cron src/entry.c parse_cron_entry, src/job_metadata.c TryParseInterval.
create function cron._parsed_schedule(schedule text) returns jsonb
  language plpgsql immutable strict set search_path = pg_catalog, pg_temp
  as $$
declare
  every_minute constant integer[] := array(select generate_series(0, 59));
  every_hour constant integer[] := array(select generate_series(0, 23));
  every_day constant integer[] := array(select generate_series(1, 31));
  every_month constant integer[] := array(select generate_series(1, 12));
  every_weekday constant integer[] := array(select generate_series(0, 6));
  seconds text[] := regexp_match(schedule, '^\s*\+?([0-9]{1,9})\s*(?:second|seconds\s*)$', 'i');
  -- Empty lines and comments before it are skipped.
  bare text := regexp_replace(schedule, '^([ \t]*(#[^\n]*)?\n)*[ \t]*', '');
  fields text[] := regexp_match(bare, '^([^ \t\n]+)[ \t]+([^ \t\n]+)[ \t]+([^ \t\n]+)[ \t]+([^ \t\n]+)[ \t]+([^ \t\n]+)');
  minutes integer[];
  hours integer[];
  days integer[] := '{}';
  months integer[];
  weekdays integer[];
begin
  if octet_length(schedule) < 1000 and left(bare, 1) = '@' then
    case substring(bare from '^@([^ \t\n]*)')
      when 'reboot', 'restart' then
        return '{"atStart": true}';
      -- Upstream never runs these two: it leaves their month empty.
      when 'yearly', 'annually' then
        return cron._parsed_schedule('0 0 1 1 *');
      when 'monthly' then
        return cron._parsed_schedule('0 0 1 * *');
      when 'weekly' then
        return cron._parsed_schedule('0 0 * * 0');
      when 'daily', 'midnight' then
        return cron._parsed_schedule('0 0 * * *');
      when 'hourly' then
        return cron._parsed_schedule('0 * * * *');
      else
        return null;
    end case;
  end if;
  if octet_length(schedule) < 1000 and fields is not null then
    minutes := cron._field(fields[1], 0, 59);
    hours := cron._field(fields[2], 0, 23);
    if fields[3] <> '$' then
      days := cron._field(fields[3], 1, 31);
    end if;
    months := cron._field(fields[4], 1, 12, '{jan,feb,mar,apr,may,jun,jul,aug,sep,oct,nov,dec}');
    weekdays := cron._field(fields[5], 0, 7, '{sun,mon,tue,wed,thu,fri,sat}');
    if minutes is not null and hours is not null and days is not null and months is not null and weekdays is not null then
      return jsonb_build_object(
        'minutes', minutes, 'hours', hours, 'days', days, 'months', months,
        'weekdays', array(select distinct number % 7 from unnest(weekdays) as number order by 1),
        'lastDay', fields[3] = '$',
        -- Both must fit when one of the two begins with a star; else either suffices.
        'dayAndWeekday', fields[3] like '*%' or fields[5] like '*%',
        'isWild', fields[1] like '*%' or fields[2] like '*%'
      );
    end if;
  end if;
  if seconds[1]::integer between 1 and 59 then
    return jsonb_build_object('seconds', seconds[1]::integer);
  end if;
  return null;
end
$$;
comment on function cron._parsed_schedule(text) is 'A schedule as the worker reads it; null when it is none.';
