-- A neighbourhood with three sheds. Everybody's password is "tool-library".
-- The days are counted from today, so that there is always something on loan.

-- Accounts. The trigger on auth.users makes the profiles.
insert into auth.users (
  instance_id, id, aud, role, email, encrypted_password, email_confirmed_at, last_sign_in_at,
  raw_app_meta_data, raw_user_meta_data, created_at, updated_at,
  confirmation_token, recovery_token, email_change_token_new, email_change
)
select
  '00000000-0000-0000-0000-000000000000', person.id, 'authenticated', 'authenticated', person.email,
  extensions.crypt('tool-library', extensions.gen_salt('bf')), now(), now(),
  '{"provider": "email", "providers": ["email"]}',
  jsonb_build_object('display_name', person.display_name, 'street', person.street),
  now() - make_interval(days => person.days), now(),
  '', '', '', ''
from (
  values
    ('5df4d32d-d327-4996-8363-37c90683ea27'::uuid, 'mara@example.com', 'Mara Lindqvist', 'Linden Street 12', 200),
    ('bdb3cff8-5d76-4226-a768-94eb34b435b1'::uuid, 'jonas@example.com', 'Jonas Okafor', 'Linden Street 31', 190),
    ('4c903a1b-27ac-4536-b8c0-be254b450003'::uuid, 'priya@example.com', 'Priya Raman', 'Canal Walk 4', 180),
    ('9505f7f0-65a1-47bc-bb5c-8897de983f5b'::uuid, 'tomas@example.com', 'Tomás Ferreira', 'Harbour Row 9', 150),
    ('501bbd84-f4e5-4c3f-a69b-7ca2b719048d'::uuid, 'wen@example.com', 'Wen Li', 'Canal Walk 22', 120),
    ('4d397bd6-c7b8-44c7-86f3-894685e312f5'::uuid, 'sofia@example.com', 'Sofia Marin', 'Harbour Row 2', 90),
    ('27391d0c-a3b9-46d3-b3b7-1b333e634c60'::uuid, 'abdul@example.com', 'Abdul Karim', 'Mill Lane 7', 60),
    ('51f4f29c-178e-47f5-9777-badbc5485663'::uuid, 'nell@example.com', 'Nell Whitaker', 'Mill Lane 18', 1)
) as person (id, email, display_name, street, days);

-- A way to sign in for each of them.
insert into auth.identities (id, user_id, provider_id, identity_data, provider, last_sign_in_at, created_at, updated_at)
select
  gen_random_uuid(), users.id, users.id::text,
  jsonb_build_object('sub', users.id::text, 'email', users.email, 'email_verified', true, 'phone_verified', false),
  'email', now(), users.created_at, users.created_at
from auth.users;

update public.profiles set about = 'Keeper of the Linden Street Shed. Repairs bicycles, too.' where id = '5df4d32d-d327-4996-8363-37c90683ea27';
update public.profiles set about = 'Keeper of Canal House. Ask me about pasta.' where id = '4c903a1b-27ac-4536-b8c0-be254b450003';
update public.profiles set about = 'Keeper of Harbour Yard. Out on the water when it is not raining.' where id = '9505f7f0-65a1-47bc-bb5c-8897de983f5b';

insert into public.sheds (id, slug, name, address, opening_hours)
values
  ('3a443231-d819-41cb-8d8e-df09a9417450', 'linden', 'Linden Street Shed', 'Linden Street 14, in the yard', 'Tue and Fri 17:00–19:00, Sat 10:00–12:00'),
  ('2c53fe73-d193-46e9-9c09-cc715d6d698b', 'canal', 'Canal House', 'Canal Walk 1, ground floor', 'Wed 18:00–20:00, Sun 11:00–13:00'),
  ('7cea10a6-08eb-48d4-b507-66318d718c2a', 'harbour', 'Harbour Yard', 'Harbour Row 5, behind the boats', 'Sat 9:00–13:00');

insert into public.shed_members (shed_id, profile_id, role, joined_at)
values
  ('3a443231-d819-41cb-8d8e-df09a9417450', '5df4d32d-d327-4996-8363-37c90683ea27', 'keeper', now() - interval '199 days'),
  ('3a443231-d819-41cb-8d8e-df09a9417450', 'bdb3cff8-5d76-4226-a768-94eb34b435b1', 'member', now() - interval '188 days'),
  ('2c53fe73-d193-46e9-9c09-cc715d6d698b', 'bdb3cff8-5d76-4226-a768-94eb34b435b1', 'member', now() - interval '140 days'),
  ('2c53fe73-d193-46e9-9c09-cc715d6d698b', '4c903a1b-27ac-4536-b8c0-be254b450003', 'keeper', now() - interval '179 days'),
  ('2c53fe73-d193-46e9-9c09-cc715d6d698b', '501bbd84-f4e5-4c3f-a69b-7ca2b719048d', 'member', now() - interval '119 days'),
  ('7cea10a6-08eb-48d4-b507-66318d718c2a', '9505f7f0-65a1-47bc-bb5c-8897de983f5b', 'keeper', now() - interval '149 days'),
  ('7cea10a6-08eb-48d4-b507-66318d718c2a', '4d397bd6-c7b8-44c7-86f3-894685e312f5', 'member', now() - interval '88 days'),
  ('3a443231-d819-41cb-8d8e-df09a9417450', '4d397bd6-c7b8-44c7-86f3-894685e312f5', 'member', now() - interval '70 days'),
  ('7cea10a6-08eb-48d4-b507-66318d718c2a', '27391d0c-a3b9-46d3-b3b7-1b333e634c60', 'member', now() - interval '58 days'),
  ('2c53fe73-d193-46e9-9c09-cc715d6d698b', '27391d0c-a3b9-46d3-b3b7-1b333e634c60', 'member', now() - interval '40 days'),
  ('3a443231-d819-41cb-8d8e-df09a9417450', '9505f7f0-65a1-47bc-bb5c-8897de983f5b', 'member', now() - interval '33 days');

insert into public.tools (id, shed_id, owner_id, name, kind, condition, description, deposit_cents)
values
  (1, '3a443231-d819-41cb-8d8e-df09a9417450', '5df4d32d-d327-4996-8363-37c90683ea27', 'Cordless drill, 18 V', 'drilling', 'good', 'Two batteries, a charger and a set of wood bits in the case. Please charge both before you bring it back.', 2000),
  (2, '3a443231-d819-41cb-8d8e-df09a9417450', 'bdb3cff8-5d76-4226-a768-94eb34b435b1', 'Hammer drill', 'drilling', 'worn', 'Heavy, loud and unstoppable. Goes through concrete. Ear muffs are in the box; use them.', 3000),
  (3, '3a443231-d819-41cb-8d8e-df09a9417450', '5df4d32d-d327-4996-8363-37c90683ea27', 'Jigsaw', 'sawing', 'good', 'For curves in wood up to 6 cm. Comes with blades for wood and for metal.', 1500),
  (4, '3a443231-d819-41cb-8d8e-df09a9417450', '4d397bd6-c7b8-44c7-86f3-894685e312f5', 'Hand saw', 'sawing', 'like new', 'Sharpened in spring. For everything that does not need a motor.', 0),
  (5, '3a443231-d819-41cb-8d8e-df09a9417450', '5df4d32d-d327-4996-8363-37c90683ea27', 'Spirit level, 1.2 m', 'measuring', 'good', 'Long enough for kitchens and shelves.', 0),
  (6, '3a443231-d819-41cb-8d8e-df09a9417450', 'bdb3cff8-5d76-4226-a768-94eb34b435b1', 'Laser level', 'measuring', 'like new', 'Throws a cross on the wall. Tripod included.', 2500),
  (7, '3a443231-d819-41cb-8d8e-df09a9417450', '5df4d32d-d327-4996-8363-37c90683ea27', 'Hedge trimmer', 'garden', 'good', 'Electric, with a 20 m cable. Oil the blade after use, the bottle is in the bag.', 2000),
  (8, '3a443231-d819-41cb-8d8e-df09a9417450', 'bdb3cff8-5d76-4226-a768-94eb34b435b1', 'Wheelbarrow', 'garden', 'worn', 'Squeaks, but carries 80 litres of earth.', 0),
  (9, '3a443231-d819-41cb-8d8e-df09a9417450', '9505f7f0-65a1-47bc-bb5c-8897de983f5b', 'Wallpaper steamer', 'painting', 'good', 'Takes off three layers in an evening. Descale it when you are done.', 1000),
  (10, '3a443231-d819-41cb-8d8e-df09a9417450', '5df4d32d-d327-4996-8363-37c90683ea27', 'Paint sprayer', 'painting', 'needs repair', 'The nozzle is blocked. A spare part is on order.', 2000),
  (11, '3a443231-d819-41cb-8d8e-df09a9417450', null, 'Aluminium ladder, 4 m', 'outdoors', 'worn', 'Folds in the middle. Collect it with two people.', 1000),
  (12, '2c53fe73-d193-46e9-9c09-cc715d6d698b', '4c903a1b-27ac-4536-b8c0-be254b450003', 'Circular saw', 'sawing', 'good', 'With a guide rail of 1.4 m. Wear the goggles.', 4000),
  (13, '2c53fe73-d193-46e9-9c09-cc715d6d698b', '501bbd84-f4e5-4c3f-a69b-7ca2b719048d', 'Mitre saw', 'sawing', 'like new', 'For skirting boards and picture frames, angles to 45°.', 4000),
  (14, '2c53fe73-d193-46e9-9c09-cc715d6d698b', '4c903a1b-27ac-4536-b8c0-be254b450003', 'Carpet cleaner', 'cleaning', 'good', 'Wash-and-vacuum machine. Fill it with warm water, not with hot water.', 3000),
  (15, '2c53fe73-d193-46e9-9c09-cc715d6d698b', '501bbd84-f4e5-4c3f-a69b-7ca2b719048d', 'High-pressure washer', 'cleaning', 'good', 'For terraces and bicycles, not for cars with old paint.', 3000),
  (16, '2c53fe73-d193-46e9-9c09-cc715d6d698b', '27391d0c-a3b9-46d3-b3b7-1b333e634c60', 'Tile cutter', 'sawing', 'good', 'Tiles up to 60 cm. The wheel was changed in May.', 1500),
  (17, '2c53fe73-d193-46e9-9c09-cc715d6d698b', '4c903a1b-27ac-4536-b8c0-be254b450003', 'Pasta machine', 'kitchen', 'like new', 'Six thicknesses, tagliatelle and spaghetti. Never wash it with water.', 500),
  (18, '2c53fe73-d193-46e9-9c09-cc715d6d698b', 'bdb3cff8-5d76-4226-a768-94eb34b435b1', 'Apple press', 'kitchen', 'good', 'Ten litres a turn. Book it early in September.', 2000),
  (19, '2c53fe73-d193-46e9-9c09-cc715d6d698b', '501bbd84-f4e5-4c3f-a69b-7ca2b719048d', 'Jam pot, 15 litres', 'kitchen', 'good', 'Copper, with a wooden spoon as long as an arm.', 0),
  (20, '2c53fe73-d193-46e9-9c09-cc715d6d698b', '4c903a1b-27ac-4536-b8c0-be254b450003', 'Dehydrator', 'kitchen', 'like new', 'Nine trays for apples, tomatoes and herbs.', 1000),
  (21, '2c53fe73-d193-46e9-9c09-cc715d6d698b', '27391d0c-a3b9-46d3-b3b7-1b333e634c60', 'Stud finder', 'measuring', 'good', 'Finds wood, metal and live cables. Check the battery first.', 0),
  (22, '2c53fe73-d193-46e9-9c09-cc715d6d698b', null, 'Folding tables, set of four', 'outdoors', 'worn', 'For street parties. Wipe them before you bring them back.', 1000),
  (23, '2c53fe73-d193-46e9-9c09-cc715d6d698b', '501bbd84-f4e5-4c3f-a69b-7ca2b719048d', 'Drill stand', 'drilling', 'good', 'Holds any drill with a 43 mm collar upright.', 500),
  (24, '7cea10a6-08eb-48d4-b507-66318d718c2a', '9505f7f0-65a1-47bc-bb5c-8897de983f5b', 'Belt sander', 'painting', 'good', 'For decks and doors. Belts of 60, 80 and 120 grit are in the drawer.', 2000),
  (25, '7cea10a6-08eb-48d4-b507-66318d718c2a', '4d397bd6-c7b8-44c7-86f3-894685e312f5', 'Heat gun', 'painting', 'good', 'Old paint comes off in strips. Air the room.', 1000),
  (26, '7cea10a6-08eb-48d4-b507-66318d718c2a', '9505f7f0-65a1-47bc-bb5c-8897de983f5b', 'Chainsaw', 'garden', 'good', 'Only with the trousers and the helmet that hang beside it.', 5000),
  (27, '7cea10a6-08eb-48d4-b507-66318d718c2a', '27391d0c-a3b9-46d3-b3b7-1b333e634c60', 'Log splitter', 'garden', 'worn', 'By hand, 3 kg. Respect it.', 0),
  (28, '7cea10a6-08eb-48d4-b507-66318d718c2a', '4d397bd6-c7b8-44c7-86f3-894685e312f5', 'Leaf blower', 'garden', 'good', 'Battery, quiet enough for a Saturday.', 1000),
  (29, '7cea10a6-08eb-48d4-b507-66318d718c2a', '9505f7f0-65a1-47bc-bb5c-8897de983f5b', 'Canoe, two seats', 'outdoors', 'good', 'With paddles, vests and a lock. Bring it back dry.', 5000),
  (30, '7cea10a6-08eb-48d4-b507-66318d718c2a', '27391d0c-a3b9-46d3-b3b7-1b333e634c60', 'Camping stove', 'outdoors', 'good', 'Two flames. Gas is not included.', 500),
  (31, '7cea10a6-08eb-48d4-b507-66318d718c2a', '4d397bd6-c7b8-44c7-86f3-894685e312f5', 'Party tent, 3 × 6 m', 'outdoors', 'worn', 'Ten minutes with four people, an hour alone.', 2000),
  (32, '7cea10a6-08eb-48d4-b507-66318d718c2a', '9505f7f0-65a1-47bc-bb5c-8897de983f5b', 'Wet vacuum cleaner', 'cleaning', 'good', '30 litres. Helped us through the flood of 2024.', 1500),
  (33, '7cea10a6-08eb-48d4-b507-66318d718c2a', '27391d0c-a3b9-46d3-b3b7-1b333e634c60', 'Window cleaner', 'cleaning', 'like new', 'With a telescopic pole for the second floor.', 500),
  (34, '7cea10a6-08eb-48d4-b507-66318d718c2a', null, 'Moisture meter', 'measuring', 'good', 'Two pins, one number. For walls and firewood.', 0);

select setval(pg_get_serial_sequence('public.tools', 'id'), (select max(id) from public.tools));

insert into public.loans (tool_id, borrower_id, from_day, until_day, returned_at)
values
  (1, 'bdb3cff8-5d76-4226-a768-94eb34b435b1', current_date - 60, current_date - 55, now() - interval '55 days'),
  (1, '4d397bd6-c7b8-44c7-86f3-894685e312f5', current_date - 30, current_date - 26, now() - interval '27 days'),
  (1, '9505f7f0-65a1-47bc-bb5c-8897de983f5b', current_date - 12, current_date - 9, now() - interval '8 days'),
  (2, '5df4d32d-d327-4996-8363-37c90683ea27', current_date - 44, current_date - 41, now() - interval '41 days'),
  (2, '4d397bd6-c7b8-44c7-86f3-894685e312f5', current_date - 2, current_date + 4, null),
  (3, 'bdb3cff8-5d76-4226-a768-94eb34b435b1', current_date - 21, current_date - 18, now() - interval '18 days'),
  (3, '9505f7f0-65a1-47bc-bb5c-8897de983f5b', current_date - 5, current_date + 2, null),
  (6, '5df4d32d-d327-4996-8363-37c90683ea27', current_date - 90, current_date - 86, now() - interval '86 days'),
  (6, '4d397bd6-c7b8-44c7-86f3-894685e312f5', current_date - 15, current_date - 12, now() - interval '12 days'),
  (7, '9505f7f0-65a1-47bc-bb5c-8897de983f5b', current_date - 33, current_date - 31, now() - interval '31 days'),
  (7, 'bdb3cff8-5d76-4226-a768-94eb34b435b1', current_date - 1, current_date + 3, null),
  (9, '5df4d32d-d327-4996-8363-37c90683ea27', current_date - 50, current_date - 46, now() - interval '47 days'),
  (11, 'bdb3cff8-5d76-4226-a768-94eb34b435b1', current_date - 9, current_date - 3, null),
  (8, '5df4d32d-d327-4996-8363-37c90683ea27', current_date + 9, current_date + 12, null),
  (12, '501bbd84-f4e5-4c3f-a69b-7ca2b719048d', current_date - 40, current_date - 36, now() - interval '35 days'),
  (12, '27391d0c-a3b9-46d3-b3b7-1b333e634c60', current_date - 7, current_date - 4, now() - interval '4 days'),
  (13, '4c903a1b-27ac-4536-b8c0-be254b450003', current_date - 25, current_date - 20, now() - interval '20 days'),
  (13, 'bdb3cff8-5d76-4226-a768-94eb34b435b1', current_date - 3, current_date + 6, null),
  (14, '27391d0c-a3b9-46d3-b3b7-1b333e634c60', current_date - 18, current_date - 17, now() - interval '17 days'),
  (14, '501bbd84-f4e5-4c3f-a69b-7ca2b719048d', current_date + 5, current_date + 7, null),
  (15, '4c903a1b-27ac-4536-b8c0-be254b450003', current_date - 29, current_date - 27, now() - interval '27 days'),
  (17, '501bbd84-f4e5-4c3f-a69b-7ca2b719048d', current_date - 14, current_date - 11, now() - interval '11 days'),
  (17, 'bdb3cff8-5d76-4226-a768-94eb34b435b1', current_date - 8, current_date - 6, now() - interval '6 days'),
  (18, '501bbd84-f4e5-4c3f-a69b-7ca2b719048d', current_date - 66, current_date - 63, now() - interval '63 days'),
  (18, '27391d0c-a3b9-46d3-b3b7-1b333e634c60', current_date - 61, current_date - 58, now() - interval '58 days'),
  (19, '4c903a1b-27ac-4536-b8c0-be254b450003', current_date - 64, current_date - 60, now() - interval '60 days'),
  (20, '27391d0c-a3b9-46d3-b3b7-1b333e634c60', current_date - 4, current_date + 9, null),
  (24, '4d397bd6-c7b8-44c7-86f3-894685e312f5', current_date - 37, current_date - 33, now() - interval '33 days'),
  (24, '27391d0c-a3b9-46d3-b3b7-1b333e634c60', current_date - 6, current_date + 1, null),
  (25, '9505f7f0-65a1-47bc-bb5c-8897de983f5b', current_date - 80, current_date - 77, now() - interval '77 days'),
  (29, '4d397bd6-c7b8-44c7-86f3-894685e312f5', current_date - 22, current_date - 21, now() - interval '21 days'),
  (29, '27391d0c-a3b9-46d3-b3b7-1b333e634c60', current_date - 16, current_date - 14, now() - interval '14 days'),
  (29, '9505f7f0-65a1-47bc-bb5c-8897de983f5b', current_date + 11, current_date + 13, null),
  (31, '27391d0c-a3b9-46d3-b3b7-1b333e634c60', current_date - 75, current_date - 73, now() - interval '72 days'),
  (32, '4d397bd6-c7b8-44c7-86f3-894685e312f5', current_date - 52, current_date - 50, now() - interval '50 days');

insert into public.reviews (tool_id, author_id, stars, body, created_at)
values
  (1, 'bdb3cff8-5d76-4226-a768-94eb34b435b1', 5, 'Strong, light, and both batteries were full. Hung eleven shelves.', now() - interval '54 days'),
  (1, '4d397bd6-c7b8-44c7-86f3-894685e312f5', 4, 'Very good. One of the 6 mm bits is blunt.', now() - interval '25 days'),
  (2, '5df4d32d-d327-4996-8363-37c90683ea27', 4, 'Loud as promised. Concrete did not stand a chance.', now() - interval '40 days'),
  (3, 'bdb3cff8-5d76-4226-a768-94eb34b435b1', 4, 'Cut a round table top with it. Take new blades.', now() - interval '17 days'),
  (6, '5df4d32d-d327-4996-8363-37c90683ea27', 5, 'I will never hang a picture by eye again.', now() - interval '85 days'),
  (6, '4d397bd6-c7b8-44c7-86f3-894685e312f5', 5, 'So simple that my daughter did the kitchen tiles.', now() - interval '11 days'),
  (7, '9505f7f0-65a1-47bc-bb5c-8897de983f5b', 3, 'Fine, but the cable is always ten metres too short.', now() - interval '30 days'),
  (9, '5df4d32d-d327-4996-8363-37c90683ea27', 5, 'Four layers of the seventies, gone.', now() - interval '45 days'),
  (12, '501bbd84-f4e5-4c3f-a69b-7ca2b719048d', 5, 'The guide rail makes all the difference.', now() - interval '34 days'),
  (12, '27391d0c-a3b9-46d3-b3b7-1b333e634c60', 4, 'Powerful and well cared for. The bag has a hole.', now() - interval '3 days'),
  (13, '4c903a1b-27ac-4536-b8c0-be254b450003', 5, 'Skirting boards for the whole flat in one day.', now() - interval '19 days'),
  (14, '27391d0c-a3b9-46d3-b3b7-1b333e634c60', 4, 'The carpet has a colour again!', now() - interval '16 days'),
  (15, '4c903a1b-27ac-4536-b8c0-be254b450003', 4, 'Terrace like new, trousers wet.', now() - interval '26 days'),
  (17, '501bbd84-f4e5-4c3f-a69b-7ca2b719048d', 5, 'Start with the widest setting and be patient.', now() - interval '10 days'),
  (17, 'bdb3cff8-5d76-4226-a768-94eb34b435b1', 5, 'Best Sunday of the month.', now() - interval '5 days'),
  (18, '501bbd84-f4e5-4c3f-a69b-7ca2b719048d', 4, 'Forty litres of juice. Two people and good music needed.', now() - interval '62 days'),
  (19, '4c903a1b-27ac-4536-b8c0-be254b450003', 5, 'All the plums of the street in one go.', now() - interval '58 days'),
  (24, '4d397bd6-c7b8-44c7-86f3-894685e312f5', 4, 'The deck is smooth, the neighbours were kind.', now() - interval '32 days'),
  (25, '9505f7f0-65a1-47bc-bb5c-8897de983f5b', 4, 'Took off six coats from a boat door.', now() - interval '76 days'),
  (29, '4d397bd6-c7b8-44c7-86f3-894685e312f5', 5, 'Saw a kingfisher. Bring a dry bag.', now() - interval '20 days'),
  (29, '27391d0c-a3b9-46d3-b3b7-1b333e634c60', 5, 'The lock is a little stiff, the rest is bliss.', now() - interval '13 days'),
  (31, '27391d0c-a3b9-46d3-b3b7-1b333e634c60', 3, 'Kept forty people dry, but one pole is bent.', now() - interval '71 days'),
  (32, '4d397bd6-c7b8-44c7-86f3-894685e312f5', 5, 'Saved the cellar.', now() - interval '49 days');
