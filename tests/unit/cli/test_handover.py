import os
import signal
import subprocess
import sys
import time

# A program that takes a while to end after Ctrl-C, as Snakemake does.
PROGRAM = """
import signal, sys, time
def stop(*_):
    time.sleep(0.6)
    print("kept", flush=True)
    sys.exit(7)
signal.signal(signal.SIGINT, stop)
print("runs", flush=True)
time.sleep(30)
"""
CALLER = "import sys; from tdro.cli.handover import run; sys.exit(run([sys.executable, '-c', sys.argv[1]], {'A': 'b'}))"


def test_ctrl_c_leaves_the_program_its_time_to_end():
    line = [sys.executable, "-c", CALLER, PROGRAM]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout.readline() == "runs\n"
        time.sleep(0.1)
        os.killpg(process.pid, signal.SIGINT)  # what a terminal does
        assert process.stdout.read() == "kept\n"
    assert process.returncode == 7
