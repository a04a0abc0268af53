"""Readers: other tools' logs, turned into the step table or an outcome table. One file a format.

A reader yields `Record`s, one a run, in bounded memory; `judge` says what each step was; `tables` builds the tables.
No reader imports the tool whose logs it reads, and every file is treated as hostile.
"""
