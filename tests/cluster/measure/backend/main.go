// Command backend is what the pods run that measured routes lead to.
//
// It ends the moment it is told to, with everything that is under way: the worst of well-behaved
// backends.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"weft.dev/cluster/measure/answer"
	"weft.dev/cluster/measure/load"
	"weft.dev/cluster/measure/noise"
)

func main() {
	name := flag.String("name", "backend", "what it calls itself in answers")
	address := flag.String("listen", ":8080", "host and port")
	lines := flag.String("lines", "", "host and port where lines are answered without any protocol")
	once := flag.Bool("once", false, "answer one request per connection, so that nobody keeps one")
	first := flag.String("ask", "", "host and port of another backend that is asked as the first thing of all")
	kind := flag.String("noise", "", "what it does to the address of -to, besides answering, until it is told to end")
	to := flag.String("to", "", "host and port of another backend")
	flag.Parse()
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-signals
		os.Exit(0)
	}()
	if *first != "" {
		ask(*first)
	}
	if *kind != "" {
		noise, err := noise.Of(*kind)
		if err != nil {
			log.Fatal(err)
		}
		go noise.Make(context.Background(), *to, os.Stdout)
	}
	if *lines != "" {
		listener, err := net.Listen("tcp", *lines)
		if err != nil {
			log.Fatal(err)
		}
		go func() { log.Fatal(answer.Lines(*name, listener)) }()
	}
	server := answer.Server(*name, *address)
	server.SetKeepAlivesEnabled(!*once)
	log.Fatal(server.ListenAndServe())
}

// ask says how the first request of this pod went, and how long it took.
func ask(address string) {
	ctx, cancel := context.WithTimeout(context.Background(), load.Patience)
	defer cancel()
	begun := time.Now()
	_, err := load.Get(ctx, &http.Transport{DisableKeepAlives: true}, address, "server", "/exchange/first")
	fmt.Println(answer.First{Took: time.Since(begun), Class: string(load.Classify(err))})
}
