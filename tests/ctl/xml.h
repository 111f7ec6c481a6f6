/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xml.h - is a text well-formed XML? As far as what we write goes: elements, attributes, entities; no
 * comments, sections or processing instructions but the first.
 */
#ifndef ZT_TESTS_CTL_XML_H
#define ZT_TESTS_CTL_XML_H

#include <stddef.h>
#include <string.h>

#define XML_DEPTH 64

struct xml_names {
	const char *name[XML_DEPTH];
	size_t len[XML_DEPTH];
	size_t nr;
};

/* An entity that every reader knows. */
static inline int xml_entity(const char *at)
{
	return strncmp(at, "&amp;", 5) == 0 || strncmp(at, "&lt;", 4) == 0 ||
	       strncmp(at, "&gt;", 4) == 0 || strncmp(at, "&quot;", 6) == 0;
}

/* From behind a name to behind the tag; NULL: it is wrong. @out_empty: it ends in "/>". */
static inline const char *xml_attributes(const char *at, int *out_empty)
{
	for (;;) {
		at += strspn(at, " \n");
		*out_empty = *at == '/';
		if (*at == '/')
			at++;
		if (*at == '>')
			return at + 1;
		if (*out_empty || strcspn(at, "=") != strcspn(at, "= <>\"\n"))
			return NULL;
		at += strcspn(at, "=");
		if (at[0] != '=' || at[1] != '"')
			return NULL;
		for (at += 2; *at != '"'; at++)
			if (*at == '\0' || *at == '<' || (*at == '&' && !xml_entity(at)))
				return NULL;
		at++;
		if (*at != ' ' && *at != '\n' && *at != '/' && *at != '>')
			return NULL;
	}
}

/** xml_error() - where @text stops to be one well-formed element, or NULL */
static inline const char *xml_error(const char *text)
{
	struct xml_names open = { .nr = 0 };
	const char *at = text;
	int roots = 0;

	if (strncmp(at, "<?xml ", 6) == 0)
		at = strstr(at, "?>") + 2;
	at += strspn(at, "\n");
	if (strncmp(at, "<!DOCTYPE html>", 15) == 0)
		at += 15;
	while (*at != '\0') {
		const char *tag = at;
		size_t len;
		int empty;

		if (*at == '&' && !xml_entity(at))
			return at;
		if (*at != '<') {
			if (open.nr == 0 && *at != '\n')
				return at;
			at++;
			continue;
		}
		len = strcspn(at + 1 + (at[1] == '/'), " />\n");
		if (at[1] == '/') {
			if (open.nr == 0 || open.len[open.nr - 1] != len ||
			    strncmp(open.name[open.nr - 1], at + 2, len) != 0 || at[2 + len] != '>')
				return tag;
			open.nr--;
			at += 3 + len;
			continue;
		}
		if (len == 0 || open.nr == XML_DEPTH || (open.nr == 0 && roots++ > 0))
			return tag;
		open.name[open.nr] = at + 1;
		open.len[open.nr++] = len;
		at = xml_attributes(at + 1 + len, &empty);
		if (!at)
			return tag;
		open.nr -= (size_t)empty;
	}
	return open.nr == 0 && roots == 1 ? NULL : at;
}

#endif
