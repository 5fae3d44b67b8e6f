"""USB sticks as such: which are plugged in, who may write to them now, and when they may be pulled out.

Upper floors use ``asking``; the keeper runs ``keeping``; nothing here knows what is written to a stick.
"""
