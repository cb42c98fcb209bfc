-- KEYS: an owner's index. ARGV: now, expires_at, the session's record on another machine.

note(KEYS[1], ARGV[3], ARGV[1], ARGV[2])
return DONE
