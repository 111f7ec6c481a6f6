/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * accel.pml - a request with the pseudo-accelerator: submitted, cancelled, late, reset, stopped.
 *
 * Stands for:
 *   src/backends/accel.c         accel_get_stream accel_put_stream accel_submit accel_cancel accel_stop
 *   src/backends/accel_idle.c    accel_idle_push accel_idle_cool
 *   src/backends/accel_wait.c    accel_submit_and_wait
 *   src/backends/accel_queue.c   accel_queue_submit accel_queue_cancel
 *   src/backends/accel_engine.c  next_step take_batch work_off stall die finish accel_engines_stop
 *   src/backends/accel_ripe.c    accel_let_go accel_end
 *   src/backends/accel_watch.c   look give_up take_back end_found end_orphans bury rest watch_main
 *                                accel_watch_stop accel_sweep switch_off
 *
 * Two streams, NR_ENGINES engines, two callers with ROUNDS requests each, the watchdog, one that stops
 * all. The first caller's stream is put in done(), as by content/batch.c; the second one's by itself
 * after done() and unpin(), as by accel_submit_and_wait().
 *
 * Abstracted: what holds queue_lock throughout is one step; exchanges of a stream's state are steps of
 * their own, where C does them without it. Time is a choice: whatever waits may be late or hung at any
 * look of the watchdog, and what a stalled engine has is at its next one. An engine takes one
 * request at a time, and has no line of finished ones (latency 0). A condition wakes one of those that
 * wait for it, whichever. Dead engines are run again, or not. Without -DSTOPS it is stopped when all
 * callers are through.
 *
 * Claimed: done() comes once for each request that was accepted and not cancelled, and never for
 * others; unpin() likewise, and no earlier than the engine has let go; a stream is lent to one, and not
 * while an engine has it; an idle engine does not sleep on while a request is queued (all these by
 * assertions); nobody waits for ever (no invalid end state: all threads end); at the end all streams
 * are idle.
 *
 * Planted: -DCANCEL_TAKEN -DRESET_LETS_GO -DPUT_BLINDLY -DNO_WAKE -DFORGETS_HELD -DORPHAN_LEFT
 * -DEND_BLINDLY -DUNPIN_READ_LATE. Written, and not run to an end yet: -DSTALL_STAYS -DONE_CONDITION
 * -DNO_TURN, -DSTOPS, and two engines.
 */
#ifndef NR_ENGINES
#define NR_ENGINES 2
#endif
#ifndef ROUNDS
#define ROUNDS 1
#endif
#ifndef FAULTS
#define FAULTS 1
#endif
#define NR_STREAMS 2

#define CALLER 0
#define QUEUED 1
#define TAKEN 2
#define GIVEN_UP 3
#define RETURNED 4
#define NONE 255

/* A state with the number of its request above it. */
#define ST(x) ((x) & 7)
#ifdef NO_TURN
#define TURN(x) 0
#else
#define TURN(x) ((x) & 248)
#endif

byte state[NR_STREAMS];
byte holder[NR_STREAMS];	/* 0, or a caller and 1 */
bool idle[NR_STREAMS], cooling[NR_STREAMS];
bool engine_has[NR_STREAMS];	/* reads and writes its memory */
byte engine_of[NR_STREAMS];
bool queued[NR_STREAMS];
byte owner[NR_STREAMS];		/* the caller in the engine's copy of the request */
byte found[NR_STREAMS];		/* 1: taken back; 2: given up */
byte in_flight;

/* Of each caller's request at hand. */
byte nr_done[2], nr_unpin[2];
bool accepted[2], cancelled[2];

/* Engines. */
#define E_NONE 0
#define E_RUNS 1
#define E_DEAD 2
byte estate[NR_ENGINES], held_by[NR_ENGINES];
bool waits[NR_ENGINES], stalled[NR_ENGINES], behind[NR_ENGINES], thread[NR_ENGINES];
byte nr_faults = FAULTS;
bool reset_wanted, stopping, off, watch_stop, watch_asleep, watch_thread, over[2];

#define NR_QUEUED (queued[0] + queued[1])

/* work: an engine that waits for it. Where stalled ones waited for the same, one of those might hear. */
inline signal_work()
{
	if
	:: waits[0] -> waits[0] = false
#if NR_ENGINES > 1
	:: waits[1] -> waits[1] = false
#endif
#ifdef ONE_CONDITION
	:: stalled[0] && (waits[1] || waits[0]) -> skip
	:: stalled[1] && (waits[1] || waits[0]) -> skip
#endif
	:: else
	fi
}

inline broadcast_work()
{
	waits[0] = false;
#if NR_ENGINES > 1
	waits[1] = false
#endif
}

inline wake_watch() { watch_asleep = false }

inline accel_idle_push(ip_s)
{
	atomic { assert(!idle[ip_s] && !cooling[ip_s] && !engine_has[ip_s]); holder[ip_s] = 0; idle[ip_s] = true }
}

inline accel_put_stream(ap_s)
{
	seen = state[ap_s];
	atomic {
		if
#ifdef PUT_BLINDLY
		:: false -> skip
#else
		:: ST(seen) == GIVEN_UP && ST(state[ap_s]) == GIVEN_UP && TURN(seen) == TURN(state[ap_s]) ->
			state[ap_s] = (seen & 248) | RETURNED
#endif
		:: else -> assert(!idle[ap_s] && !cooling[ap_s]); holder[ap_s] = 0; idle[ap_s] = true
		fi;
		seen = 0
	}
}

/* done() of the request in @s, in whatever thread, and unpin() if no engine has it. */
inline accel_end(ae_s, ae_pinned)
{
	atomic {
		who = holder[ae_s] - 1;
		assert(accepted[who] && !cancelled[who]);
		assert(nr_done[who] == 0);
		in_flight--;
		nr_done[who]++;
		if
		:: !ae_pinned -> nr_unpin[who]++
		:: else
		fi
	};
	if
	:: who == 0 -> accel_put_stream(ae_s)
	:: else
	fi;
	who = 0
}

inline accel_let_go(lg_s, lg_who)
{
	seen = state[lg_s];
	atomic {
		engine_has[lg_s] = false;
		if
		:: ST(seen) == RETURNED -> back = true
		:: ST(seen) != RETURNED && state[lg_s] == seen -> state[lg_s] = (seen & 248) | CALLER; back = false
		:: else -> back = true /* its caller put it just now */
		fi
	};
	if
	:: back ->
		state[lg_s] = (state[lg_s] & 248) | CALLER;
		accel_idle_push(lg_s)
	:: else
	fi;
	atomic { nr_unpin[lg_who]++; seen = 0; back = false }
}

/* The engine is through with @s; @caller is what its copy of the request says. */
inline finish(fi_e, fi_s, fi_caller)
{
	seen = state[fi_s];
	atomic {
		held_by[fi_e] = NONE;
		if
#ifdef END_BLINDLY
		:: ST(seen) == TAKEN -> state[fi_s] = (seen & 248) | CALLER; engine_has[fi_s] = false; back = true
#else
		:: ST(seen) == TAKEN && ST(state[fi_s]) == TAKEN && TURN(seen) == TURN(state[fi_s]) ->
			state[fi_s] = (seen & 248) | CALLER; engine_has[fi_s] = false; back = true
#endif
		:: else -> back = false
		fi;
		seen = 0
	};
	if
	:: back -> back = false; accel_end(fi_s, false)
	:: else -> accel_let_go(fi_s, fi_caller)
	fi
}

proctype engine(byte e)
{
	byte s, seen, who, caller;
	bool back;

	do
	:: atomic { /* next_step() */
		if
		:: waits[e] -> !waits[e]
		:: else
		fi;
		if
		:: behind[e] -> behind[e] = false; goto again /* it has nothing */
		:: !behind[e] && NR_QUEUED > 0 ->
			if
			:: queued[0] -> s = 0
			:: queued[1] -> s = 1
			fi;
			queued[s] = false;
			engine_of[s] = e;
			state[s] = (state[s] & 248) | TAKEN;
			engine_has[s] = true;
			held_by[e] = s;
			caller = holder[s] - 1
		:: !behind[e] && NR_QUEUED == 0 && stopping -> goto ends
		:: else -> waits[e] = true; goto again
		fi
	   };
	   if
	   :: ST(state[s]) == TAKEN -> /* else given up meanwhile */
		if
		:: skip /* compresses */
		:: atomic { nr_faults > 0 && !stopping -> nr_faults--; /* stalls */
				if
				:: true -> reset_wanted = true; wake_watch()
				:: true
				fi;
				stalled[e] = true
			};
#ifdef STALL_STAYS
			behind[e];
#else
			behind[e] || stopping;
#endif
			stalled[e] = false
		:: atomic { nr_faults > 0 && !stopping -> nr_faults--; /* dies, with its batch */
				estate[e] = E_DEAD;
				wake_watch();
				thread[e] = false;
				goto dead }
		fi
	   :: else
	   fi;
	   finish(e, s, caller);
again:	   s = 0; caller = 0
	od;
ends:	thread[e] = false;
dead:	skip
}

/* What engine @e had that runs no more; all engines' where it is NONE. */
inline end_orphans(eo_e)
{
	s = 0;
	do
	:: s == NR_STREAMS -> s = 0; break
	:: else ->
		seen2 = state[s];
		if
		:: ST(seen2) != TAKEN && ST(seen2) != GIVEN_UP && ST(seen2) != RETURNED
		:: else ->
			if
			:: eo_e != NONE && engine_of[s] != eo_e
			:: else ->
				if
				:: ST(seen2) == TAKEN ->
					atomic {
						if
						:: ST(state[s]) == TAKEN && TURN(state[s]) == TURN(seen2) ->
							state[s] = (seen2 & 248) | CALLER; engine_has[s] = false; held_by[engine_of[s]] = NONE; back = true
						:: else -> back = false
						fi
					};
					if
					:: back -> back = false; accel_end(s, false)
					:: else
					fi
#ifdef ORPHAN_LEFT
				:: ST(seen2) == GIVEN_UP -> who = owner[s]; accel_let_go(s, who)
				:: else
#else
				:: else ->
					held_by[engine_of[s]] = NONE;
#ifdef UNPIN_READ_LATE
					accel_let_go(s, owner[s])
#else
					who = owner[s];
					accel_let_go(s, who)
#endif
#endif
				fi
			fi
		fi;
		seen2 = 0;
		s++
	od
}


inline take_back(tb_s)
{
	queued[tb_s] = false; state[tb_s] = (state[tb_s] & 248) | CALLER; found[tb_s] = 1
}

proctype watch()
{
	byte s, seen, seen2, who, e, nr;
	bool back, reset;

	do
	:: atomic {
		watch_asleep -> !watch_asleep
	   }
	:: atomic {
		!watch_asleep;
		if
		:: watch_stop -> goto ends
		:: else
		fi;
		/* rest(): nothing is in flight, and no engine has anything */
#ifdef FORGETS_HELD
		if
		:: in_flight == 0 && !reset_wanted && estate[0] != E_DEAD && estate[NR_ENGINES - 1] != E_DEAD ->
#else
		if
		:: in_flight == 0 && !reset_wanted && held_by[0] == NONE && held_by[NR_ENGINES - 1] == NONE &&
		   estate[0] != E_DEAD && estate[NR_ENGINES - 1] != E_DEAD ->
#endif
			if
			:: true -> watch_asleep = true; goto next
			:: idle[0] && idle[1] -> /* accel_idle_cool() */
				idle[0] = false; idle[1] = false; cooling[0] = true; cooling[1] = true
			fi
		:: else
		fi
	   };
	   if
	   :: cooling[0] ->
		assert(holder[0] == 0 && holder[1] == 0 && !engine_has[0] && !engine_has[1]);
		atomic { cooling[0] = false; cooling[1] = false; idle[0] = true; idle[1] = true };
		goto next
	   :: else
	   fi;
	   /* look(), under queue_lock: but engines finish meanwhile, by exchanges of state */
	   atomic {
		reset = reset_wanted || stalled[0] || stalled[NR_ENGINES - 1];
		if
		:: !reset -> if :: reset = (held_by[0] != NONE || held_by[NR_ENGINES - 1] != NONE) :: true fi
		:: else
		fi;
		if
		:: queued[0] -> if :: take_back(0) :: !reset fi
		:: else
		fi;
		if
		:: queued[1] -> if :: take_back(1) :: !reset fi
		:: else
		fi;
		if
		:: reset -> if :: off = true :: true fi
		:: else
		fi
	   };
	   s = 0;
	   do
	   :: s == NR_STREAMS -> s = 0; break
	   :: else ->
		seen = state[s];
		if
		:: ST(seen) == TAKEN && found[s] == 0 ->
			if
			:: true ->
				atomic {
					if
					:: ST(state[s]) == TAKEN && TURN(state[s]) == TURN(seen) ->
#ifdef RESET_LETS_GO
						state[s] = (seen & 248) | CALLER; found[s] = 1
#else
						state[s] = (seen & 248) | GIVEN_UP; found[s] = 2
#endif
					:: else
					fi
				}
			:: !reset -> skip /* not late */
			fi
		:: else
		fi;
		s++
	   od;
	   atomic {
		if
		:: reset -> reset_wanted = false; behind[0] = (estate[0] == E_RUNS);
#if NR_ENGINES > 1
			behind[1] = (estate[1] == E_RUNS);
#endif
			broadcast_work()
		:: else
		fi;
		reset = false; seen = 0
	   };
	   /* Callers are told. */
	   s = 0;
	   do
	   :: s == NR_STREAMS -> s = 0; break
	   :: else ->
		if
		:: found[s] == 1 -> found[s] = 0; accel_end(s, false)
		:: found[s] == 2 -> found[s] = 0; accel_end(s, true)
		:: else
		fi;
		s++
	   od;
	   /* bury() */
	   e = 0;
	   do
	   :: e == NR_ENGINES -> e = 0; break
	   :: else ->
		if
		:: estate[e] == E_DEAD ->
			atomic { !thread[e]; estate[e] = E_NONE };
			end_orphans(e);
			atomic {
				if
				:: estate[e] = E_RUNS; behind[e] = false; thread[e] = true; run engine(e)
				:: estate[0] != E_RUNS && estate[NR_ENGINES - 1] != E_RUNS -> off = true
				fi;
				if
				:: off && queued[0] -> take_back(0)
				:: else
				fi;
				if
				:: off && queued[1] -> take_back(1)
				:: else
				fi
			};
			s = 0;
			do
			:: s == NR_STREAMS -> s = 0; break
			:: else ->
				if
				:: found[s] == 1 -> found[s] = 0; accel_end(s, false)
				:: else
				fi;
				s++
			od
		:: else
		fi;
		e++
	   od;
next:	   skip
	od;
ends:	watch_thread = false
}

proctype caller(byte me)
{
	byte s, seen, nr;

	do
	:: nr == ROUNDS -> break
	:: else ->
		nr++;
		atomic { /* accel_get_stream() */
			if
			:: idle[0] -> s = 0
			:: idle[1] -> s = 1
			:: else -> goto next /* its own stream does it */
			fi;
			assert(holder[s] == 0 && !engine_has[s]);
			idle[s] = false;
			holder[s] = me + 1;
			nr_done[me] = 0; nr_unpin[me] = 0; accepted[me] = false; cancelled[me] = false
		};
		atomic { /* accel_queue_submit() */
			if
			:: stopping || off -> goto refused
			:: else ->
				accepted[me] = true;
				owner[s] = me;
				state[s] = ((state[s] & 248) + 8) | QUEUED;
				queued[s] = true;
				in_flight++;
				if
				:: waits[0] || waits[NR_ENGINES - 1] ->
					signal_work();
					/* Nobody idles on while there is work. */
					assert(!(waits[0] || waits[NR_ENGINES - 1]) || NR_QUEUED < 1 + waits[0] ||
					       !(waits[0] && waits[NR_ENGINES - 1] && NR_ENGINES > 1));
#ifdef ONE_CONDITION
					assert(!(waits[0] && stalled[NR_ENGINES - 1]) && !(waits[NR_ENGINES - 1] && stalled[0]))
#endif
				:: else
				fi;
#ifndef NO_WAKE
				wake_watch()
#endif
			fi
		};
		if
		:: true -> /* accel_queue_cancel(), by who submitted it */
			atomic {
				if
#ifdef CANCEL_TAKEN
				:: holder[s] == me + 1 && (queued[s] || (ST(state[s]) == TAKEN && nr_done[me] == 0)) ->
#else
				:: holder[s] == me + 1 && queued[s] ->
#endif
					queued[s] = false;
					state[s] = (state[s] & 248) | CALLER;
					in_flight--;
					cancelled[me] = true
				:: else
				fi
			}
		:: true
		fi;
		if
		:: cancelled[me] -> accel_put_stream(s)
		:: else ->
			nr_done[me] == 1 && nr_unpin[me] == 1;
			if
			:: me == 1 -> accel_put_stream(s)
			:: else
			fi
		fi;
		goto next;
refused:	accel_put_stream(s);
next:		atomic { s = 0; seen = 0 }
	od;
	over[me] = true
}

init
{
	byte s, seen, seen2, who;
	bool back;

	atomic {
		idle[0] = true; idle[1] = true;
		held_by[0] = NONE; estate[0] = E_RUNS; thread[0] = true;
		run engine(0);
#if NR_ENGINES > 1
		held_by[1] = NONE; estate[1] = E_RUNS; thread[1] = true;
		run engine(1);
#endif
		watch_thread = true;
		run watch();
		run caller(0);
		run caller(1)
	};
#ifndef STOPS
	over[0] && over[1];
#endif
	/* accel_engines_stop() */
	atomic { stopping = true; broadcast_work() };
	atomic { watch_stop = true; wake_watch() };
	!watch_thread;
	!thread[0] && !thread[NR_ENGINES - 1];
	/* accel_sweep() */
	atomic {
		if
		:: queued[0] -> take_back(0)
		:: else
		fi;
		if
		:: queued[1] -> take_back(1)
		:: else
		fi
	};
	s = 0;
	do
	:: s == NR_STREAMS -> s = 0; break
	:: else ->
		if
		:: found[s] == 1 -> found[s] = 0; accel_end(s, false)
		:: else
		fi;
		s++
	od;
	end_orphans(NONE);
	over[0] && over[1];
	assert(idle[0] && idle[1] && !engine_has[0] && !engine_has[1] && in_flight == 0)
}
