# SPDX-License-Identifier: GPL-2.0-or-later
"""ztbench - what `make bench` is made of: one file a job.

    main        the command line, and the way from settings to a report
    settings    sizes and choices, from the environment
    source      the real data of this machine
    systems     the filesystems that are compared
    meter       wall time, steal time, CPU seconds of everybody involved
    rounds      in turn, repeated; what steal time spoilt is done again
    streams, randomio, mapped, metadata, build, size    the sections: what is measured
    memory      what contrib/bench/memory-bars measures
    clients     small programs that sections run
    results     medians, spreads, paired ratios
    bars        what ztmpfs is to reach, beside what was measured
    report      table and JSON
    picture     what ztmpfsctl draw makes SVG of
"""
