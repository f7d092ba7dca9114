"""What gearfleet does to a running supervisord.

    address         where a supervisord listens
    control         its processes, over stock XML-RPC with deadlines
    processes       the values that `control` reads
    targets         the names that a user gives, and the processes they mean
    registrations   which processes the job servers know
    workers         what the boards of this host tell of the workers behind processes
    pools           which processes are pools, and whether their workers are new
    machine         what a state machine over processes looks like
    rollout         the rolling restart, such a machine
    flights         one process that it has taken
    waves           how many processes it takes at a time, and which
    switch          stop and start, two more machines
    quiet           workers that stay and take no job for a while
    tail            the logs of several processes at once
    drive           the loop that carries out what a state machine wants
    events          what happens meanwhile, and what came of it
    progress        a bar for a restart, at a terminal
    verbs           restart, stop, start, status: what is done
    door            the same with their options, said aloud: what the two doors call
    report          what is said about it, as text
    ctlplugin       the door in supervisorctl; the other one is `gearfleet.cli`
    reconcile       the extension that runs inside supervisord
    paste           the sections that a user pastes into supervisord.conf

Everything here needs the standard library only, and `address`, `ctlplugin`
and `reconcile` also supervisor, so that they run in a system Python.
"""
