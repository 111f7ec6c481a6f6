/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * words.h - how far words are from one another, for guesses at what was meant.
 */
#ifndef ZT_UTIL_WORDS_H
#define ZT_UTIL_WORDS_H

#include <stddef.h>

/* Characters of a word that guesses are made for; no name is longer. */
#define WORDS_MAX 32

/**
 * words_distance() - how many letters were left out, added, changed, or swapped with the next
 * Return: SIZE_MAX when one of them is longer than WORDS_MAX.
 */
size_t words_distance(const char *a, const char *b);

/**
 * words_near() - nearer than this is worth a guess: one letter of a short word, a third of a long
 * one
 */
size_t words_near(const char *word);

#endif
