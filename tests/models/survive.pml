/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * survive.pml - requests of a mount whose daemon is killed: each is done once, and answered as it was done.
 *
 * Stands for:
 *   src/fuse/ledger.c      take take_idle ledger_begin ledger_end ledger_find ledger_settle ledger_retire
 *   src/fuse/again.c       again_begin again_end answer_from_slot
 *   src/fs/witness.c       witness_intend witness_done
 *   src/fs/deed.c          fs_deed_is_done leads_to
 *   src/fs/namei.c         fs_unlink
 *
 * The kernel with requests about one name, which may all be under way at a time: request 0 makes it,
 * request 1 removes it, with -DMAKES=2 request 2 makes it once more. Two threads of the daemon, which
 * serve them in any order; a killer, which ends all threads at any step, up to NR_KILLS times; after it
 * the next life, which settles the slots and may be killed in the middle of that, too.
 *
 * Abstracted: an inode's number is used again at once, so all have the same. A request that was read and
 * not answered comes again, or its caller was killed, too, and it never does. The reply is one step of
 * the kernel's. Stores of one thread are seen in their order. Reads and writes, which have no slot, are
 * left out, as are references (their weaknesses are in doc/design/survival.md). That a thread looks for
 * what it has read before slots are retired, 20 seconds later, is taken for granted.
 *
 * Claimed: no request is done twice; one that is answered with success was done, one that is answered
 * with an error was not; in the end all whose callers wait are answered.
 *
 * With -DFEW_SLOTS one slot is there for all.
 *
 * Planted: -DDONE_FIRST -DUNLOCKED_EARLY -DIDLE_FIRST -DNO_INTENT -DSERVED_FIRST -DRETIRED_SOON -DUNMARKED.
 */
#ifndef MAKES
#define MAKES 1
#endif
#ifndef NR_KILLS
#define NR_KILLS 2
#endif
#define NR_REQS (MAKES + 1)
#define MAKES_NAME(r) (r != 1)
#ifdef FEW_SLOTS
#define NR_SLOTS 1
#define ANY_DONE (state[0] == DONE)
#else
#define NR_SLOTS 4
#define ANY_DONE (state[0] == DONE || state[1] == DONE || state[2] == DONE || state[3] == DONE)
#endif
#define NONE 255

/* The kernel. */
mtype = { COMES, COMES_AGAIN, WAS_READ, ANSWERED, FORGOTTEN };
mtype request[NR_REQS] = COMES;
bool success[NR_REQS];
byte effects[NR_REQS];

/* The arena: whether the name leads to the inode. */
bool name_leads;

/* The ledger. */
mtype = { IDLE, TAKEN, BEGUN, DONE, IN_ANSWER };
mtype state[NR_SLOTS] = IDLE;
byte key[NR_SLOTS];
bool ino[NR_SLOTS], done[NR_SLOTS];

/* The process. */
byte life;		/* changes when it is killed */
bool serves = true;
byte lock = NONE;	/* of the folder */
bool looks[2];		/* the thread has read what comes again, and is about to look for it */
byte kills;

inline reply(r, what)
{
	atomic { request[r] = ANSWERED; success[r] = what; assert(what == (effects[r] == 1)) }
}

inline find(slot, condition)
{
	slot = 0;
	do
	:: slot < NR_SLOTS && !(condition) -> slot++
	:: else -> break
	od
}

proctype thread(byte me)
{
	byte r, slot, mine;
	bool again, right;

start:	atomic { serves -> mine = life };
	{
		do
		:: atomic {
			if
			:: request[0] == COMES || request[0] == COMES_AGAIN -> r = 0
			:: request[1] == COMES || request[1] == COMES_AGAIN -> r = 1
#if MAKES > 1
			:: request[2] == COMES || request[2] == COMES_AGAIN -> r = 2
#endif
			fi;
			again = (request[r] == COMES_AGAIN);
			looks[me] = again;
			request[r] = WAS_READ
		   };
		   if
		   :: again ->
			atomic {
				find(slot, state[slot] == DONE && key[slot] == r);
				looks[me] = false;
#ifndef UNMARKED
				if
				:: slot < NR_SLOTS -> state[slot] = IN_ANSWER
				:: else
				fi
#endif
			}
		   :: else -> slot = NR_SLOTS
		   fi;
		   if
		   :: slot < NR_SLOTS ->
			reply(r, true);
			state[slot] = IDLE
		   :: else ->
			atomic {
				/* It waits for one. */
				(NR_SLOTS > 1 || state[0] == IDLE);
				find(slot, state[slot] == IDLE);
				assert(slot < NR_SLOTS);
				state[slot] = TAKEN
			};
			atomic { ino[slot] = false; done[slot] = false; key[slot] = r };
			state[slot] = BEGUN;
			atomic { lock == NONE -> lock = me };
			right = (name_leads != MAKES_NAME(r));
			if
			:: right ->
#ifndef NO_INTENT
				ino[slot] = true;
#endif
#ifdef DONE_FIRST
				done[slot] = true;
#endif
				atomic { name_leads = MAKES_NAME(r); effects[r]++; assert(effects[r] == 1) };
#ifdef UNLOCKED_EARLY
				lock = NONE;
#endif
				done[slot] = true
			:: else
			fi;
			if
			:: lock == me -> lock = NONE
			:: else
			fi;
#ifdef IDLE_FIRST
			state[slot] = IDLE;
#endif
			reply(r, right);
			state[slot] = IDLE
		   fi;
		od
	} unless { life != mine };
	goto start
}

/* What was read comes again, or whoever called has gone as well. */
active proctype killer()
{
	byte r;

	do
	:: atomic {
		kills < NR_KILLS -> kills++; life++; serves = false; lock = NONE; looks[0] = false; looks[1] = false;
		r = 0;
		do
		:: r < NR_REQS ->
			if
			:: request[r] == WAS_READ -> request[r] = COMES_AGAIN
			:: request[r] == WAS_READ || request[r] == COMES_AGAIN -> request[r] = FORGOTTEN
			:: request[r] != WAS_READ
			fi;
			r++
		:: else -> r = 0; break
		od
	   }
	:: kills == NR_KILLS -> break
	od
}

/* A life that begins. */
active proctype settler()
{
	byte slot, mine;

start:	atomic { !serves -> mine = life; slot = 0 };
#ifdef SERVED_FIRST
	serves = true;
#endif
	{
		do
		:: slot < NR_SLOTS ->
			atomic {
				if
				:: state[slot] == BEGUN && (done[slot] || (ino[slot] && name_leads == MAKES_NAME(key[slot]))) ->
					done[slot] = true;
					state[slot] = DONE
				:: state[slot] == IN_ANSWER -> state[slot] = DONE
				:: state[slot] == TAKEN || (state[slot] == BEGUN && !done[slot] &&
					!(ino[slot] && name_leads == MAKES_NAME(key[slot]))) ->
					state[slot] = IDLE
				:: else
				fi;
				slot++
			}
		:: else -> break
		od;
		serves = true
	} unless { life != mine };
	goto start
}

/* What comes again has come, and was looked for. */
#if defined(RETIRED_SOON)
#define ALL_FOUND true
#elif MAKES > 1
#define ALL_FOUND (!looks[0] && !looks[1] && request[0] != COMES_AGAIN && request[1] != COMES_AGAIN && request[2] != COMES_AGAIN)
#else
#define ALL_FOUND (!looks[0] && !looks[1] && request[0] != COMES_AGAIN && request[1] != COMES_AGAIN)
#endif

/* Nobody who waits for it is left. */
active proctype retirer()
{
	byte slot;

	do
	:: atomic {
		(serves && ANY_DONE && ALL_FOUND) ->
		find(slot, state[slot] == DONE);
		state[slot] = IDLE
	   }
	od
}

init { atomic { run thread(0); run thread(1) } }

#define OVER(r) (request[r] == ANSWERED || request[r] == FORGOTTEN)
#if MAKES > 1
ltl answered { <> [] (OVER(0) && OVER(1) && OVER(2)) }
#else
ltl answered { <> [] (OVER(0) && OVER(1)) }
#endif
