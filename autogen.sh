#!/bin/sh
set -e
mkdir -p build-aux contrib/m4
exec autoreconf -fi
