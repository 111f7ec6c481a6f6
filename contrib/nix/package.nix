# SPDX-License-Identifier: GPL-2.0-or-later
# For pkgs.callPackage. On NixOS put it into system.fsPackages too: mount(8) then finds the helper.
#
# tests/install/packages reads and evaluates it with stand-ins for its arguments; it was never built.
{
  lib,
  stdenv,
  autoreconfHook,
  pkg-config,
  check,
  fuse3,
  libcap_ng,
  libseccomp,
  libsodium,
  liburing,
  lz4,
  ncurses,
  util-linux,
  xxHash,
  zstd,
  src ? ../..,
}:

stdenv.mkDerivation {
  pname = "ztmpfs";
  version = "0.1.0";
  inherit src;

  nativeBuildInputs = [
    autoreconfHook
    pkg-config
  ];
  buildInputs = [
    fuse3
    libcap_ng
    libseccomp
    libsodium
    liburing
    lz4
    ncurses
    util-linux
    xxHash
    zstd
  ];
  checkInputs = [ check ];

  preAutoreconf = "mkdir -p build-aux contrib/m4";
  configureFlags = [
    "--with-mounthelperdir=${placeholder "out"}/bin"
    "--with-systemdsystemunitdir=${placeholder "out"}/lib/systemd/system"
  ];

  # The unit tests: what mounts wants /dev/fuse and root.
  doCheck = true;
  checkFlags = [ "TESTS=$(check_PROGRAMS)" ];

  meta = {
    description = "Temporary filesystem whose files stay compressed in memory";
    license = with lib.licenses; [
      gpl2Plus
      mit
    ];
    platforms = lib.platforms.linux;
    mainProgram = "ztmpfs";
  };
}
