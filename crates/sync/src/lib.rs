//! What to ask peers for, what an answer proves, and what to answer them.
