"""`hookswitch demo`: a service, people and real calls, told line by line; every line told as a fact is checked."""
