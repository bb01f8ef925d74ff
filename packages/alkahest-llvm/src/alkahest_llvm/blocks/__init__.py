"""The block virtual machine: the tier that compiles in no time."""
