/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stock.pml - the reserve of a mount that carries swap: a page is stored in memory that is free only
 * when a page has been stored.
 *
 * Stands for:
 *   src/arena/stock.c      grower_thread may_grow grant_of is_waited_for may_give_back grow_step
 *                          shrink_step take_block wait_more stock_take stock_give arena_stock_grant
 *   src/daemon/pressure.c  pressure_grant pressure_thread
 *   src/fs/file.c          write_once
 *
 * Two programs, each of which swaps NR_WRITES pages out; the kernel's side, which needs free memory
 * before it sends a request; the grower; the watch over the machine's free memory.
 *
 * Abstracted: memory is counted in granules, and the reserve in halves of them. A run takes one half,
 * or two that lie together. A page that was stored leaves a granule to the machine. A write that has
 * its run may give it back when it ends (overwritten, discarded). Marks of the zone: min / 2 is 0,
 * min is 1, low is 2 granules. The three seconds of a wait are over at any time with -DTIMER, and
 * never without. mem_limit= is NR_LIMIT granules. Locks of files and streams are left out.
 *
 * Claimed, with weak fairness: a write that the daemon has ends, and without a timer, so the grower
 * came to run (ltl ends); where the kernel's side sleeps for memory and nothing is under way, it gets
 * some (ltl fed); and there is no deadlock.
 *
 * Planted: -DNO_ORDER -DGIVES_AWAY -DFULL_SILENT (ends), -DNO_BACK (fed). Two programs with two writes
 * each do not tell -DNO_RECHECK, -DGROWER_WAITS and -DSTALE_ORDER apart from what is right: the watch
 * says soon anew what the grower may take.
 */
#ifndef NR_WRITES
#define NR_WRITES 2
#endif
#ifndef NR_LIMIT
#define NR_LIMIT 3
#endif
#define NR_FREE 2
#define TARGET 2	/* halves to keep ready */
#define FLOOR 1		/* less is next to nothing */
#define LOOKS 2		/* so many without a request, and it is stuck */
#define MIN 1
#define LOW 2

/* The machine. */
byte free = NR_FREE;
bool came;		/* a request, since the watch looked */
bool in_daemon[2], sleeps[2], over[2];

/* The arena: under arena.lock, so each step that holds it is one. */
byte taken = 1, whole = 1, halves;
bool want_block, at_limit, dry, give_back;
byte waiting, more, urgent;
bool grower_asleep, asleep[2];

#define READY (2 * whole + halves)
#ifdef STALE_ORDER
#define WAITED_FOR (want_block || waiting > 0)
#else
#define WAITED_FOR (waiting > 0)
#endif
#define ROOM ((READY < FLOOR || WAITED_FOR) -> urgent : more)
#define MAY_GROW ((READY < TARGET || want_block) && ROOM > 0)
#ifdef GIVES_AWAY
#define MAY_GIVE_BACK (whole > 0 && ((give_back && !WAITED_FOR) || READY > TARGET + 2))
#else
#define MAY_GIVE_BACK (whole > 0 && !WAITED_FOR && (give_back || READY > TARGET + 2))
#endif
#define LESS(x) (x > 0 -> x - 1 : 0)

active proctype grower()
{
	bool grows;

	do
	:: atomic {
		!grower_asleep;
		if
		:: MAY_GROW -> more = LESS(more); urgent = LESS(urgent); grows = true
		:: else ->
			if
			:: MAY_GIVE_BACK -> whole--; give_back = false
			:: else -> grower_asleep = true; goto again
			fi
		fi
	   };
	   /* arena.lock is given up, and the kernel asked. */
	   if
	   :: grows ->
#ifdef GROWER_WAITS
		free > 0;
#endif
		atomic {
			if
			:: taken >= NR_LIMIT -> /* -ENOSPC */
				at_limit = true;
#ifndef FULL_SILENT
				asleep[0] = false; asleep[1] = false;
#endif
				grower_asleep = true
			:: taken < NR_LIMIT && free > 0 ->
				free--; taken++; whole++;
				want_block = false; at_limit = false; dry = false;
				asleep[0] = false; asleep[1] = false;
#ifdef NO_RECHECK
				grower_asleep = true
#endif
			:: taken < NR_LIMIT && free == 0 /* -ENOMEM: again soon */
			fi
		}
	   :: else -> atomic { free++; taken--; at_limit = false }
	   fi;
again:	   grows = false
	od
}

/* It looks at intervals, and says anew what the grower may take. */
active proctype watch()
{
	byte quiet;

	do
	:: atomic {
		if
		:: came || waiting > 0 -> quiet = 0
		:: else -> quiet = (quiet < LOOKS -> quiet + 1 : quiet)
		fi;
		came = false;
		if
		:: quiet == LOOKS && free <= MIN ->
			more = 0; urgent = 0;
#ifndef NO_BACK
			give_back = true
#endif
		:: else ->
			more = (free > LOW -> free - LOW : 0);
			urgent = free;
			give_back = false
		fi;
		if
		:: MAY_GROW || MAY_GIVE_BACK -> grower_asleep = false
		:: else
		fi
	   }
	od
}

#ifdef TIMER
bool timed[2];

active proctype clock()
{
	do
	:: atomic { asleep[0] -> asleep[0] = false; timed[0] = true }
	:: atomic { asleep[1] -> asleep[1] = false; timed[1] = true }
	od
}
#endif

/* A page that is to go out, and the thread of the daemon that stores it. */
proctype program(byte me)
{
	byte nr, size;
	bool got;

	do
	:: nr == NR_WRITES -> break
	:: else ->
		sleeps[me] = true;
		atomic { free > MIN -> free--; came = true; sleeps[me] = false; in_daemon[me] = true;
			 if :: size = 1 :: size = 2 fi };
		atomic { /* stock_take(): the lock is given up where it waits, and nowhere else */
			do
			:: size == 1 && halves > 0 -> halves--; got = true; break
			:: size == 1 && halves == 0 && whole > 0 -> whole--; halves++; got = true; break
			:: size == 2 && whole > 0 -> whole--; got = true; break
			:: else ->
				if
				:: at_limit || dry -> break /* -ENOSPC */
				:: else
				fi;
#ifndef NO_ORDER
				if
				:: READY >= size -> want_block = true
				:: else
				fi;
#endif
				waiting++;
				grower_asleep = false;
				asleep[me] = true;
				!asleep[me];
				waiting--;
#ifdef TIMER
				dry = dry || timed[me];
				timed[me] = false;
#endif
#ifndef STALE_ORDER
				if
				:: waiting == 0 -> want_block = false
				:: else
				fi
#endif
			od;
			if
			:: got && READY < TARGET -> grower_asleep = false
			:: else
			fi
		};
		atomic {
			in_daemon[me] = false;
			free = free + 1 + (got -> 1 : 0); /* what the request took; the page */
			nr++
		};
		atomic {
			if
			:: got && free > 0 -> /* stock_give() */
				if
				:: size == 2 -> whole++
				:: size == 1 && halves > 0 -> halves--; whole++
				:: size == 1 -> halves++
				fi;
				free--; /* it is in memory again */
				dry = false;
				asleep[0] = false; asleep[1] = false;
				if
				:: at_limit || MAY_GIVE_BACK -> grower_asleep = false
				:: else
				fi
			:: true
			fi;
			got = false; size = 0
		}
	od;
	over[me] = true
}

init { atomic { run program(0); run program(1) } }

#define STARVES ((sleeps[0] || sleeps[1]) && (sleeps[0] || over[0]) && (sleeps[1] || over[1]) && free <= MIN)
ltl ends { [] ((in_daemon[0] -> <> !in_daemon[0]) && (in_daemon[1] -> <> !in_daemon[1])) }
ltl fed { [] (STARVES -> <> (free > MIN)) }
