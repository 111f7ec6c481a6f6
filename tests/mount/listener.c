// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * listener.c - a service manager's end of NOTIFY_SOCKET: prints each line that comes, until it is ended.
 *
 * listener PATH: the socket is there once the output has its first line, "listening".
 */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

int main(int argc, char *argv[])
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int sock = socket(AF_UNIX, SOCK_DGRAM, 0);
	char text[1024];
	ssize_t len;

	if (argc != 2 || sock < 0 || strlen(argv[1]) >= sizeof(address.sun_path))
		return 2;
	strcpy(address.sun_path, argv[1]);
	if (bind(sock, (struct sockaddr *)&address, sizeof(address)) != 0) {
		perror(argv[1]);
		return 2;
	}
	puts("listening");
	fflush(stdout);
	while ((len = recv(sock, text, sizeof(text), 0)) >= 0) {
		printf("%.*s\n", (int)len, text);
		fflush(stdout);
	}
	return 1;
}
