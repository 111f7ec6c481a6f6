/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * slot.pml - a slot's word, its object and that object's owner, while everybody changes them.
 *
 * Stands for:
 *   src/blkmap/slot/slots.c      slot_set_owner slot_disown slot_publish slot_release
 *   src/blkmap/slot/relocate.c   slot_relocate_begin slot_relocate_end
 *   src/blkmap/slot/share.c      share_begin share_take share_end share_release
 *                                share_relocate_begin share_relocate_end
 *   src/zsmalloc/compact.c       slot_move object_move
 *   src/zsmalloc/pool.c          zs_malloc zs_free zs_change_owner
 *   src/blkmap/content/attempt.c round_free attempt_publish
 *   src/blkmap/content/commit.c  change_place change_publish change_end
 *   src/blkmap/content/overwrite.c  encoded_overwrite
 *   src/blkmap/content/range.c   slot_clear clear_clusters
 *   src/blkmap/content/clone.c   share_cluster
 *   src/blkmap/upkeep/scan.c     visit_object
 *   src/blkmap/upkeep/publish.c  item_commit item_exchange
 *   src/blkmap/upkeep/dedup.c    visit_twin share_slot share_record
 *
 * Two slots, two share records, NR_ROOMS rooms of one size class; two threads that make OPS0 and OPS1
 * operations (a write, a truncation, a copy, each where it likes), one that makes MOVES moves, one that
 * recompresses or deduplicates in PASSES passes. It begins with two objects, with one that has two
 * names, or with one that has one name left.
 *
 * Abstracted: bytes are two bits, of which each writer changes its own. A word is stored at once, as
 * by word_set(). Each place has a lock of its own (hashes collide in C; nobody holds two of a kind).
 * The class lock is the pool's only one; memory is always there for a room. A tree's node is the slot,
 * and goes when the slot is cleared. A round that is lost is not repeated, and none keeps the lock.
 * Ages, heat, counts of pages and settings are left out. Cluster maps: map.pml.
 *
 * Claimed, by assertions: an object or record is freed once, and not while it names an owner; nothing
 * is read of a room, record or slot that is gone; a reader finds what was written last; when the lock
 * of a header's owner is held, and the header still names it, that word names the object; at the
 * end everything that lives is named, once, and records count their names. With -DKILL: whenever the
 * daemon is killed, each word leads to an object.
 *
 * Planted: -DSEQ_UNCHECKED -DRECOMP_SEQ -DCOUNT_TOUCHES_ZERO -DOWNER_NOT_MOVED -DOWNER_KEPT
 * -DOWNER_PLAIN -DOWNER_NOT_REREAD -DRESOLVED_EARLY -DOWNER_MOVED_LATE -DUNLOCKED_EARLY, and with
 * -DKILL also -DRECORD_FIRST and -DNAME_LATE.
 */
#ifndef NR_ROOMS
#define NR_ROOMS 3
#endif
#ifndef OPS0
#define OPS0 2
#endif
#ifndef OPS1
#define OPS1 1
#endif
#ifndef MOVES
#define MOVES 1
#endif
#ifndef PASSES
#define PASSES 1
#endif

/* Places of words: two slots, two records. An owner is a place and 1. */
#define NR_PLACES 4
#define IS_RECORD(p) ((p) >= 2)
#define HOLE 0
#define OBJ 1
#define SHARED 2

byte kind[NR_PLACES], ref[NR_PLACES], count[NR_PLACES], seq[NR_PLACES];
bool there[NR_PLACES];		/* the memory of the place */
bool excl[NR_PLACES];		/* its slot lock or share lock */
byte shrd[NR_PLACES];
bool file_excl[2];		/* inode locks */
byte file_shrd[2];
byte expect[2];			/* what a reader must find */

/* Rooms are 1 to NR_ROOMS. */
bool live[NR_ROOMS + 1];
byte owner[NR_ROOMS + 1], data[NR_ROOMS + 1];
bool class_lock;
byte nr_ended;
#define NR_THREADS 4
#define GONE 255

inline lock_excl(xl_p)    { atomic { !excl[xl_p] && shrd[xl_p] == 0 -> excl[xl_p] = true } }
inline unlock_excl(xu_p)  { atomic { assert(excl[xu_p]); excl[xu_p] = false } }
inline lock_shrd(rl_p)    { atomic { !excl[rl_p] -> shrd[rl_p]++ } }
inline unlock_shrd(ru_p)  { atomic { assert(shrd[ru_p] > 0); shrd[ru_p]-- } }

/* ---- the pool ---- */

/* 0: no room is free. */
inline zs_malloc(zm_bytes, zm_out)
{
	atomic {
		!class_lock;
		zm_out = 1;
		do
		:: zm_out <= NR_ROOMS && live[zm_out] -> zm_out++
		:: else -> break
		od;
		if
		:: zm_out > NR_ROOMS -> zm_out = 0
		:: else -> live[zm_out] = true; owner[zm_out] = 0; data[zm_out] = zm_bytes
		fi
	}
}

inline zs_free(zf_r)
{
	atomic {
		!class_lock;
		assert(live[zf_r]);	/* freed once */
		assert(owner[zf_r] == 0);	/* a loose word */
		live[zf_r] = false; data[zf_r] = GONE
	}
}

inline zs_change_owner(zc_r, zc_o)
{
#ifdef OWNER_PLAIN
	atomic { assert(live[zc_r]); owner[zc_r] = zc_o }
#else
	atomic { !class_lock; assert(live[zc_r]); owner[zc_r] = zc_o }
#endif
}

inline slot_set_owner(so_r, so_o)
{
	if
	:: owner[so_r] != 0 -> zs_change_owner(so_r, so_o)
	:: else -> owner[so_r] = so_o
	fi
}

inline rec_alloc(ra_out)
{
	atomic {
		if
		:: !there[2] -> ra_out = 2
		:: there[2] && !there[3] -> ra_out = 3
		:: else -> ra_out = 0
		fi;
		if
		:: ra_out -> there[ra_out] = true; kind[ra_out] = HOLE; ref[ra_out] = 0; count[ra_out] = 0
		:: else
		fi
	}
}

inline rec_free(rf_rec)
{
	atomic { assert(there[rf_rec]); there[rf_rec] = false; kind[rf_rec] = HOLE; ref[rf_rec] = 0; count[rf_rec] = 0 }
}

/* ---- words: the place's lock is held exclusive ---- */

inline word_set(ws_p, ws_k, ws_r)
{
	atomic { assert(there[ws_p]); kind[ws_p] = ws_k; ref[ws_p] = ws_r }
}

/* A name of a record goes. */
inline share_release(sr_rec)
{
	atomic {
		!excl[sr_rec] && shrd[sr_rec] == 0;
		assert(there[sr_rec] && count[sr_rec] > 0);
		count[sr_rec]--;
		if
		:: count[sr_rec] == 0 -> excl[sr_rec] = true; obj = ref[sr_rec]
		:: else -> obj = 0
		fi
	};
	if
	:: obj ->
		zs_change_owner(obj, 0);
		atomic { kind[sr_rec] = HOLE; ref[sr_rec] = 0; seq[sr_rec]++; excl[sr_rec] = false };
		zs_free(obj);
		rec_free(sr_rec)
	:: else
	fi;
	obj = 0
}

inline slot_release()
{
	if
	:: old_kind == OBJ -> zs_free(old_ref)
	:: old_kind == SHARED -> share_release(old_ref)
	:: else
	fi;
	atomic { old_kind = HOLE; old_ref = 0 }
}

/* Sets old_kind, old_ref; ends with the lock given back. */
inline slot_publish(sp_s, sp_k, sp_r, sp_bytes)
{
	if
	:: sp_k == OBJ -> slot_set_owner(sp_r, sp_s + 1)
	:: else
	fi;
	atomic {
		assert(there[sp_s]);
		old_kind = kind[sp_s]; old_ref = ref[sp_s];
		kind[sp_s] = sp_k; ref[sp_s] = sp_r; seq[sp_s]++;
		expect[sp_s] = sp_bytes
	};
#ifndef OWNER_KEPT
	if
	:: old_kind == OBJ -> zs_change_owner(old_ref, 0)
	:: else
	fi;
#endif
	excl[sp_s] = false
}

inline share_begin(sb_s, sb_rec)
{
	atomic {
		!excl[sb_rec] && shrd[sb_rec] == 0; /* one that was in its place may be locked */
		obj = ref[sb_s];
		excl[sb_rec] = true;
		kind[sb_rec] = OBJ; ref[sb_rec] = obj; seq[sb_rec]++;
#ifdef COUNT_TOUCHES_ZERO
		count[sb_rec] = 1 /* the taker's is added when it is published */
#else
		count[sb_rec] = 2
#endif
	};
#ifndef OWNER_NOT_MOVED
	zs_change_owner(obj, sb_rec + 1);
#endif
#ifdef NAME_LATE
	excl[sb_rec] = false;
#endif
	atomic { kind[sb_s] = SHARED; ref[sb_s] = sb_rec; seq[sb_s]++; obj = 0 };
#ifndef NAME_LATE
	excl[sb_rec] = false
#endif
}

inline share_end(se_s)
{
	if
	:: kind[se_s] == SHARED ->
		rec = ref[se_s];
#ifdef RESOLVED_EARLY
		obj = ref[rec];
#endif
		atomic {
			!excl[rec] && shrd[rec] == 0;
			assert(there[rec]);
			if
			:: count[rec] > 1 -> goto se_kept
			:: else -> excl[rec] = true
			fi
		};
#ifndef RESOLVED_EARLY
		obj = ref[rec];
#endif
#ifndef OWNER_MOVED_LATE
		zs_change_owner(obj, se_s + 1);
#endif
#ifndef RECORD_FIRST
		word_set(se_s, OBJ, obj);
#endif
		atomic { kind[rec] = HOLE; ref[rec] = 0; seq[rec]++ };
#ifdef RECORD_FIRST
		word_set(se_s, OBJ, obj);
#endif
		atomic { excl[rec] = false; seq[se_s]++ };
		rec_free(rec);
#ifdef OWNER_MOVED_LATE
		zs_change_owner(obj, se_s + 1);
#endif
se_kept:	atomic { rec = 0; obj = 0 }
	:: else
	fi
}

/* ---- what requests do ---- */

/* Under the shared lock; gives it back. */
inline slot_look(sk_s)
{
	atomic {
		!excl[sk_s];
		assert(there[sk_s]);
		sq = seq[sk_s];
		k = kind[sk_s];
		obj = ref[sk_s];
		shrd[sk_s]++
	};
#ifdef UNLOCKED_EARLY
	atomic { shrd[sk_s]--; bytes = expect[sk_s] };
#endif
	if
	:: k == HOLE -> bytes = 0
	:: k == OBJ ->
		atomic { assert(live[obj]); bytes = data[obj] }
	:: else ->
		rec = obj;
		atomic { !excl[rec]; assert(there[rec] && kind[rec] == OBJ); obj = ref[rec]; shrd[rec]++ };
		atomic { assert(live[obj]); bytes = data[obj]; shrd[rec]-- }
	fi;
#ifndef UNLOCKED_EARLY
	atomic { assert(bytes == expect[sk_s]); shrd[sk_s]-- };
#endif
	atomic { obj = 0; rec = 0; k = 0 }
}

/* Look, prepare, publish; where nothing is free, over the old object. Inode held shared. */
inline merge(mg_s)
{
	slot_look(mg_s);
	bytes = bytes ^ (1 << me);
	zs_malloc(bytes, r);
	lock_excl(mg_s);
	if
#ifndef SEQ_UNCHECKED
	:: seq[mg_s] != sq -> /* lost: the new one goes */
		atomic { old_kind = (r -> OBJ : HOLE); old_ref = r; excl[mg_s] = false }
#endif
	:: else ->
		if
		:: r -> slot_publish(mg_s, OBJ, r, (expect[mg_s] ^ (1 << me)))
		:: else ->
			share_end(mg_s);
			atomic {
				if
				:: kind[mg_s] == OBJ -> data[ref[mg_s]] = bytes; expect[mg_s] = expect[mg_s] ^ (1 << me); seq[mg_s]++
				:: else /* -ENOSPC */
				fi;
				excl[mg_s] = false
			}
		fi
	fi;
	atomic { sq = 0; bytes = 0; r = 0 };
	slot_release()
}

/* Inode held exclusive. */
inline truncate(tr_s)
{
	lock_excl(tr_s);
	slot_publish(tr_s, HOLE, 0, 0);
#ifdef OWNER_KEPT
	there[tr_s] = false;
#endif
	slot_release();
	there[tr_s] = false /* tree_prune() */
}

/* Both inodes held exclusive. */
inline copy(cp_s, cp_d)
{
	r = 0;
cp_take:
	atomic { !excl[cp_s] && shrd[cp_s] == 0 -> excl[cp_s] = true };
	if
	:: kind[cp_s] == SHARED ->
		rec = ref[cp_s];
		atomic { !excl[rec] && shrd[rec] == 0; assert(there[rec] && count[rec] > 0); count[rec]++ };
		excl[cp_s] = false
	:: kind[cp_s] == OBJ && r ->
		rec = r;
		share_begin(cp_s, rec);
		atomic { r = 0; excl[cp_s] = false }
	:: kind[cp_s] == OBJ && !r ->
		excl[cp_s] = false;
		rec_alloc(r);
		if
		:: r -> goto cp_take
		:: else
		fi
	:: else -> excl[cp_s] = false
	fi;
	if
	:: r -> rec_free(r); r = 0
	:: else
	fi;
	if
	:: rec ->
		atomic { bytes = expect[cp_s]; !excl[cp_d] && shrd[cp_d] == 0 -> excl[cp_d] = true };
		slot_publish(cp_d, SHARED, rec, bytes);
#ifdef COUNT_TOUCHES_ZERO
		atomic { assert(there[rec]); count[rec] = (count[rec] == 1 -> 2 : count[rec]) };
#endif
		atomic { rec = 0; bytes = 0 };
		slot_release()
	:: else
	fi
}

proctype requests(byte me; byte nr)
{
	byte s, r, rec, obj, k, old_kind, old_ref, sq, bytes;

	do
	:: nr == 0 -> break
	:: else ->
		nr--;
		if :: s = 0 :: s = 1 fi;
		if
		:: atomic { /* a write; blkmap_grow() needs it exclusive */
				!file_excl[s] && (there[s] || file_shrd[s] == 0) ->
				if
				:: !there[s] -> there[s] = true; kind[s] = HOLE; ref[s] = 0
				:: else
				fi;
				file_shrd[s]++
			};
			merge(s);
			file_shrd[s]--
		:: atomic { !file_excl[s] && file_shrd[s] == 0 && there[s] -> file_excl[s] = true };
			truncate(s);
			file_excl[s] = false
		:: atomic {
				!file_excl[0] && file_shrd[0] == 0 && !file_excl[1] && file_shrd[1] == 0 && there[s] ->
				file_excl[0] = true; file_excl[1] = true;
				if
				:: !there[1 - s] -> there[1 - s] = true; kind[1 - s] = HOLE; ref[1 - s] = 0
				:: else
				fi
			};
			if
			:: s == 0 -> copy(0, 1)
			:: else -> copy(1, 0)
			fi;
			atomic { file_excl[0] = false; file_excl[1] = false }
		fi;
		s = 0
	od;
	nr_ended++
}

/* ---- compaction ---- */

/* Any live object that has an owner; else the statement is not executable. */
inline pick(pk_r)
{
	if
	:: live[1] && owner[1] != 0 -> pk_r = 1
#if NR_ROOMS > 1
	:: live[2] && owner[2] != 0 -> pk_r = 2
#endif
#if NR_ROOMS > 2
	:: live[3] && owner[3] != 0 -> pk_r = 3
#endif
#if NR_ROOMS > 3
	:: live[4] && owner[4] != 0 -> pk_r = 4
#endif
	:: else -> pk_r = 0
	fi
}

proctype compaction(byte nr)
{
	byte r, o, p, to;

	do
	:: nr == 0 -> break
	:: else ->
		nr--;
		atomic { /* an object, and a free room */
			!class_lock;
			pick(r);
			to = 1;
			do
			:: to <= NR_ROOMS && live[to] -> to++
			:: else -> break
			od;
			if
			:: r == 0 || to > NR_ROOMS -> goto next
			:: else -> class_lock = true; o = owner[r]; p = o - 1
			fi
		};
		atomic { /* only a try; then header and word are read again */
			if
			:: excl[p] || shrd[p] > 0 -> class_lock = false; goto next
			:: else
			fi;
#ifndef OWNER_NOT_REREAD
			if
			:: owner[r] != o -> class_lock = false; goto next
			:: else
			fi;
#endif
			excl[p] = true;
			assert(there[p]);	/* its word is read */
			assert(kind[p] == OBJ && ref[p] == r)	/* the header leads to it */
		};
		atomic { live[to] = true; owner[to] = owner[r]; data[to] = data[r] };
		atomic { ref[p] = to; seq[p]++ };
		excl[p] = false;
		atomic {
			assert(live[r]);
			live[r] = false; owner[r] = 0; data[r] = GONE; class_lock = false
		};
next:		atomic { r = 0; o = 0; p = 0; to = 0 }
	od;
	nr_ended++
}

/* ---- recompression, deduplication ---- */

proctype recompression(byte nr)
{
	byte r, o, p, sq, bytes, new, newk, rec, obj, old_kind, old_ref, twin;

	do
	:: nr == 0 -> break
	:: else ->
		nr--;
		atomic {
			!class_lock;
			pick(r);
			if
			:: r == 0 -> goto next
			:: else -> class_lock = true; o = owner[r]; p = o - 1
			fi
		};
		atomic { /* a look without its lock: the class lock keeps the place */
			assert(there[p]);
			if
			:: kind[p] != OBJ || ref[p] != r -> class_lock = false; goto next
			:: else
			fi
		};
		atomic {
			if
			:: excl[p] || owner[r] != o -> class_lock = false; goto next
			:: else -> shrd[p]++
			fi;
			assert(there[p] && kind[p] == OBJ && ref[p] == r);
			sq = seq[p];
			class_lock = false
		};
		atomic { assert(live[r]); bytes = data[r]; shrd[p]--; o = 0 };

		if
		:: !IS_RECORD(p) -> /* a twin of it? */
			atomic {
				!class_lock;
				pick(twin);
				if
				:: twin == 0 || twin == r || data[twin] != bytes -> goto no_twin
				:: else -> class_lock = true; o = owner[twin]
				fi
			};
			atomic {
				class_lock = false;
				if
				:: excl[o - 1] || shrd[o - 1] > 0 || owner[twin] != o -> goto no_twin
				:: else -> excl[o - 1] = true
				fi;
				assert(there[o - 1] && kind[o - 1] == OBJ && ref[o - 1] == twin)
			};
			atomic {
				assert(live[twin]);
				if
				:: data[twin] != bytes -> excl[o - 1] = false; goto no_twin
				:: else
				fi
			};
			if
			:: IS_RECORD(o - 1) -> atomic { assert(count[o - 1] > 0); count[o - 1]++; new = o - 1 }
			:: else ->
				rec_alloc(new);
				if
				:: new -> share_begin(o - 1, new)
				:: else
				fi
			fi;
			atomic { excl[o - 1] = false; newk = (new -> SHARED : HOLE) }
		:: true
		fi;
no_twin:
		atomic { twin = 0; o = 0 };
		if
		:: new == 0 -> zs_malloc(bytes, new); newk = (new -> OBJ : HOLE)
		:: else
		fi;
		if
		:: new ->
			lock_excl(p);
			if
#ifndef RECOMP_SEQ
			:: seq[p] != sq -> atomic { old_kind = newk; old_ref = new; excl[p] = false } /* late */
#endif
			:: else ->
				assert(there[p] && kind[p] == OBJ && ref[p] == r);
				if
				:: newk == OBJ -> slot_set_owner(new, p + 1)
				:: else
				fi;
				atomic { kind[p] = newk; ref[p] = new; seq[p]++ };
				zs_change_owner(r, 0);
				atomic { old_kind = OBJ; old_ref = r; excl[p] = false }
			fi;
			slot_release()
		:: else
		fi;
next:		atomic { r = 0; o = 0; p = 0; sq = 0; bytes = 0; new = 0; newk = 0; twin = 0; rec = 0; obj = 0 }
	od;
	nr_ended++
}

/* ---- the end, and the kill ---- */

inline word_leads(wl_p)
{
	assert(!there[wl_p] || kind[wl_p] != OBJ || live[ref[wl_p]]);
	assert(!there[wl_p] || kind[wl_p] != SHARED || (there[ref[wl_p]] && kind[ref[wl_p]] == OBJ && live[ref[ref[wl_p]]]))
}

#ifdef KILL
/* Nothing runs after it: what is in the arena is what a start finds. */
active proctype kill()
{
	atomic { word_leads(0); word_leads(1) }
}
#endif

#define NAMES(rec) ((there[0] && kind[0] == SHARED && ref[0] == rec) + (there[1] && kind[1] == SHARED && ref[1] == rec))
#define IS_NAMED(r) ((there[0] && kind[0] == OBJ && ref[0] == r && owner[r] == 1) + \
		     (there[1] && kind[1] == OBJ && ref[1] == r && owner[r] == 2) + \
		     (there[2] && kind[2] == OBJ && ref[2] == r && owner[r] == 3) + \
		     (there[3] && kind[3] == OBJ && ref[3] == r && owner[r] == 4))

init
{
	byte i;

	atomic {
		there[0] = true; live[1] = true;
		if
#if NR_ROOMS > 1
		:: /* two objects, alike */
			kind[0] = OBJ; ref[0] = 1; owner[1] = 1;
			there[1] = true; kind[1] = OBJ; ref[1] = 2; live[2] = true; owner[2] = 2
#endif
		:: /* one, with two names */
			there[1] = true; there[2] = true;
			kind[2] = OBJ; ref[2] = 1; count[2] = 2; owner[1] = 3;
			kind[0] = SHARED; ref[0] = 2; kind[1] = SHARED; ref[1] = 2
		:: /* one, of which one name is left; no second file yet */
			there[2] = true;
			kind[2] = OBJ; ref[2] = 1; count[2] = 1; owner[1] = 3;
			kind[0] = SHARED; ref[0] = 2
		fi;
		run requests(0, OPS0);
		run requests(1, OPS1);
		run compaction(MOVES);
		run recompression(PASSES)
	};
	nr_ended == NR_THREADS;
	atomic {
		word_leads(0); word_leads(1);
		i = 1;
		do
		:: i <= NR_ROOMS -> assert(IS_NAMED(i) == (live[i] -> 1 : 0)); i++
		:: else -> break
		od;
		assert(!there[2] || (count[2] > 0 && count[2] == NAMES(2)));
		assert(!there[3] || (count[3] > 0 && count[3] == NAMES(3)));
		i = 0;
		do
		:: i < 2 ->
			assert(!there[i] || kind[i] != HOLE || expect[i] == 0);
			assert(!there[i] || kind[i] != OBJ || data[ref[i]] == expect[i]);
			assert(!there[i] || kind[i] != SHARED || data[ref[ref[i]]] == expect[i]);
			i++
		:: else -> break
		od
	}
}
