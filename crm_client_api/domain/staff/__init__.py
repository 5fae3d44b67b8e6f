"""The people of the office: who they are, who may appoint whom, what happens when they come, change and go."""
