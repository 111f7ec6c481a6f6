/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * json.h - whether a text is one JSON value (RFC 8259), for tests where no other program can be
 * counted on.
 */
#ifndef ZT_TESTS_CTL_JSON_H
#define ZT_TESTS_CTL_JSON_H

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

static inline const char *json_blank(const char *at)
{
	return at + strspn(at, " \t\r\n");
}

static inline const char *json_string(const char *at, bool *ok)
{
	if (*at++ != '"')
		*ok = false;
	while (*ok && *at != '"') {
		if ((unsigned char)*at < 0x20)
			*ok = false;
		else if (*at != '\\')
			at++;
		else if (at[1] == 'u' && strspn(at + 2, "0123456789abcdefABCDEF") >= 4)
			at += 6;
		else if (at[1] != '\0' && strchr("\"\\/bfnrt", at[1]))
			at += 2;
		else
			*ok = false;
	}
	return *ok ? at + 1 : at;
}

static inline const char *json_digits(const char *at, bool *ok)
{
	const size_t len = strspn(at, "0123456789");

	if (len == 0)
		*ok = false;
	return at + len;
}

static inline const char *json_number(const char *at, bool *ok)
{
	at += *at == '-';
	if (*at == '0' && isdigit((unsigned char)at[1]))
		*ok = false;
	at = json_digits(at, ok);
	if (*ok && *at == '.')
		at = json_digits(at + 1, ok);
	if (*ok && (*at == 'e' || *at == 'E')) {
		at++;
		at += *at == '-' || *at == '+';
		at = json_digits(at, ok);
	}
	return at;
}

/* Where it ends; *ok is false where it is wrong. */
static inline const char *json_value(const char *at, bool *ok, int depth)
{
	static const char *const words[] = { "true", "false", "null" };
	const char end = *at == '{' ? '}' : ']';

	if (depth > 16)
		*ok = false;
	if (!*ok || *at == '"')
		return *ok ? json_string(at, ok) : at;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strncmp(at, words[i], strlen(words[i])) == 0)
			return at + strlen(words[i]);
	if (*at != '{' && *at != '[')
		return json_number(at, ok);
	at = json_blank(at + 1);
	if (*at == end)
		return at + 1;
	for (;;) {
		if (end == '}') {
			at = json_blank(json_string(at, ok));
			if (!*ok || *at != ':')
				break;
			at = json_blank(at + 1);
		}
		at = json_blank(json_value(at, ok, depth + 1));
		if (!*ok || *at != ',')
			break;
		at = json_blank(at + 1);
	}
	if (*at != end)
		*ok = false;
	return *ok ? at + 1 : at;
}

/* json_error() - NULL when @text is one JSON value, else the place where it is none any more */
static inline const char *json_error(const char *text)
{
	bool ok = true;
	const char *at = json_blank(json_value(json_blank(text), &ok, 0));

	return ok && *at == '\0' ? NULL : at;
}

#endif
