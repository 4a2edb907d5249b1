//go:build race

package sqlite_test

// raceDetector makes SQLite, which is all Go here, several times slower.
const raceDetector = true
