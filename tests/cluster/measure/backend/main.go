// Command backend is what the pods run that measured routes lead to.
//
// It ends the moment it is told to, with everything that is under way: the worst of well-behaved
// backends.
package main

import (
	"flag"
	"log"
	"os"
	"os/signal"
	"syscall"

	"weft.dev/cluster/measure/answer"
)

func main() {
	name := flag.String("name", "backend", "what it calls itself in answers")
	address := flag.String("listen", ":8080", "host and port")
	once := flag.Bool("once", false, "answer one request per connection, so that nobody keeps one")
	flag.Parse()
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-signals
		os.Exit(0)
	}()
	server := answer.Server(*name, *address)
	server.SetKeepAlivesEnabled(!*once)
	log.Fatal(server.ListenAndServe())
}
