//! What the functions' roles have to allow: what the whole suite saw them do.
