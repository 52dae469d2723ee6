"""lifecycle: the pure core. decide(observed, now) -> Plan."""
