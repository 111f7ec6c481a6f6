// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * text.c - texts that came from files: for programs as JSON, for people so that terminals stay as they are.
 */
#include <string.h>
#include <wchar.h>
#include <wctype.h>

#include "ctl/ctl.h"
#include "util/sizes.h"

/* ---- JSON ---- */

/* What its first byte says of a character in UTF-8. */
static const struct {
	unsigned char mask, is;
	unsigned len;
	uint32_t least; /* of that length */
} forms[] = {
	{ 0x80, 0x00, 1, 0 },
	{ 0xe0, 0xc0, 2, 0x80 },
	{ 0xf0, 0xe0, 3, 0x800 },
	{ 0xf8, 0xf0, 4, 0x10000 },
};

/* Bytes of the character that @text begins with; 0: it is no UTF-8. */
static unsigned utf8_len(const char *text)
{
	const unsigned char *at = (const unsigned char *)text;

	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		uint32_t value = *at & (unsigned char)~forms[i].mask;

		if ((*at & forms[i].mask) != forms[i].is)
			continue;
		for (unsigned j = 1; j < forms[i].len; j++) {
			if ((at[j] & 0xc0) != 0x80)
				return 0;
			value = value << 6 | (at[j] & 0x3f);
		}
		return value < forms[i].least || value > 0x10ffff || value >> 11 == 0xd800 >> 11 ?
			       0 :
			       forms[i].len;
	}
	return 0;
}

void ctl_print_json_text(FILE *out, const char *text)
{
	fputc('"', out);
	while (*text != '\0') {
		const unsigned len = utf8_len(text), byte = (unsigned char)*text;

		if (len == 0)
			fprintf(out, "\\udc%02x", byte);
		else if (byte == '"' || byte == '\\')
			fprintf(out, "\\%c", *text);
		else if (byte < 0x20 || byte == 0x7f)
			fprintf(out, "\\u%04x", byte);
		else
			(void)fwrite(text, 1, len, out); /* ctl_end() asks whether all went out */
		text += len ? len : 1;
	}
	fputc('"', out);
}

/* ---- names on a terminal ---- */

/* Marks that have what follows run the other way. */
static bool turns(wint_t c)
{
	return c == 0x61c || c == 0x200e || c == 0x200f || (c >= 0x202a && c <= 0x202e) ||
	       (c >= 0x2066 && c <= 0x2069);
}

static void print_byte(FILE *out, unsigned char byte)
{
	static const char plain[] = "\a\b\f\n\r\t\v\\", letters[] = "abfnrtv\\";
	const char *found = byte ? strchr(plain, byte) : NULL;

	if (found)
		fprintf(out, "\\%c", letters[found - plain]);
	else
		fprintf(out, "\\%03o", byte);
}

void ctl_print_name(FILE *out, const char *text)
{
	const char *end = text + strlen(text);

	while (text < end) {
		mbstate_t state = { 0 };
		wchar_t c = 0;
		size_t len = mbrtowc(&c, text, (size_t)(end - text), &state);
		const bool is_char = len > 0 && len <= (size_t)(end - text);

		if (is_char && iswprint((wint_t)c) && c != L'\\' && !turns((wint_t)c)) {
			(void)fwrite(text, 1, len, out); /* as above */
			text += len;
			continue;
		}
		for (len = is_char ? len : 1; len > 0; len--)
			print_byte(out, (unsigned char)*text++);
	}
}
