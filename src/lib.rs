//! Safe access to the Linux connection tracking table.
