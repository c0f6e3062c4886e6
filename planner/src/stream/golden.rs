//! Golden plans: queries beside the plan that each is explained by.
