"""The simulated telephone exchange: lines with voltages, ringing, caller ID, tones and real speech."""
