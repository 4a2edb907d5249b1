package main

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// A signing is what the machine needs for RS256 signatures of 2048 bits, and nothing else.
type signing struct {
	key     *rsa.PrivateKey
	count   int
	elapsed time.Duration
	cpu     time.Duration
}

func newSigning() (*signing, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	return &signing{key: key}, err
}

func (s *signing) each() time.Duration { return s.cpu / time.Duration(s.count) }

func (s *signing) rate() float64 { return float64(s.count) / s.elapsed.Seconds() }

// measure adds one round. It signs on every core at once, as a server under load does.
func (s *signing) measure(count int) error {
	cores := runtime.GOMAXPROCS(0)
	before, err := ownCPU()
	if err != nil {
		return err
	}
	began := time.Now()
	errs := make([]error, cores)
	var workers sync.WaitGroup
	for core := range cores {
		workers.Go(func() {
			for i := range count / cores {
				digest := sha256.Sum256(fmt.Append(nil, core, i))
				if _, err := rsa.SignPKCS1v15(nil, s.key, crypto.SHA256, digest[:]); err != nil {
					errs[core] = err
					return
				}
			}
		})
	}
	workers.Wait()
	s.elapsed += time.Since(began)
	after, err := ownCPU()
	s.cpu += after - before
	s.count += count / cores * cores
	return errors.Join(append(errs, err)...)
}

// ownCPU returns the CPU time this process has used so far.
func ownCPU() (time.Duration, error) {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0, err
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()), nil
}
