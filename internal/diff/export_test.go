package diff

// Golden is for the tests outside.
var Golden = golden
