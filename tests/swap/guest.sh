# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0-or-later
# guest.sh - run a guest that swaps. Sourced after functions.sh.
#
#   need_kernel            skip where packages are missing; sets $KERNEL, $MODULES and $ACCEL
#   need_guest             the same, and the guest's first files
#   guest NAME RAM WORD... one run with the kernel command line's WORDs (see guest-init);
#                          sets $RESULT: PASS, OOM, FAIL, HANG (nothing was swapped for a minute) or SLOW (the time was up
#                          meanwhile), and leaves the console in $TMP/NAME.log
#
# ZT_GUEST=FOLDER takes the kernel from an unpacked package instead of /boot. ZT_GUEST_LIMIT: seconds for one run. CPUS: 2.
# ZT_GUEST_QEMU: further arguments of qemu, as "-monitor unix:FILE,server,nowait", to pause the guest and its clock.

need_kernel()
{
  for program in qemu-system-x86_64 busybox cpio; do
    command -v "$program" >/dev/null || skip "no $program (contrib/install-deps swap)"
  done
  [ "$(uname -m)" = x86_64 ] || skip "the guest is made for x86_64"
  sanitized && skip "sanitizers need more memory than the guest has"
  KERNEL=$(find "${ZT_GUEST:-}/boot" -maxdepth 1 -name 'vmlinuz-*' 2>/dev/null | sort -V | tail -n 1)
  [ -n "$KERNEL" ] || skip "no kernel in ${ZT_GUEST:-}/boot (contrib/install-deps swap)"
  MODULES=${ZT_GUEST:-}/lib/modules/${KERNEL##*/vmlinuz-}
  [ -d "$MODULES" ] || skip "no $MODULES"
  ACCEL=tcg
  # A /dev/kvm without the CPU's help is there, too, and runs no Debian kernel.
  if [ -r /dev/kvm ] && [ -w /dev/kvm ] && grep -qE '^flags.* (vmx|svm)' /proc/cpuinfo; then
    ACCEL=kvm:tcg
  fi
}

need_guest()
{
  need_kernel
  # shellcheck disable=SC2154 # the caller has it
  "$srcdir/tests/swap/mkguest" "$TMP/initramfs" "$MODULES" || fail "no initramfs"
}

guest()
{
  log=$TMP/$1.log
  ram=$2
  shift 2
  # On a busy host the timer may seem not to work when the kernel tries it.
  # An emulated CPU pays for each change of page tables, and nobody attacks it.
  # With rdrand the kernel's random numbers are ready before the second CPU starts, so that it does not patch its code for that
  # while the emulator runs it: the old int3 was executed once in 60 guests ("Oops: int3" in crng_make_state).
  # shellcheck disable=SC2086 # words
  timeout -k 5 "${ZT_GUEST_LIMIT:-900}" qemu-system-x86_64 -M pc,accel="$ACCEL" -cpu qemu64,+rdrand -smp "${CPUS:-2}" \
    -m "$ram" -nodefaults -display none -serial file:"$log" -no-reboot -kernel "$KERNEL" -initrd "$TMP/initramfs" \
    -append "console=ttyS0 panic=1 quiet no_timer_check mitigations=off $*" ${ZT_GUEST_QEMU:-} </dev/null >"$log.qemu" 2>&1
  code=$?
  RESULT=$(sed -n 's/^zt-result: \([A-Z]*\).*/\1/p' "$log" | head -n 1)
  if [ -z "$RESULT" ]; then
    RESULT=FAIL
    [ "$code" != 124 ] && [ "$code" != 137 ] || RESULT=SLOW
  fi
}
